"""The registry: one entry a row of the table, thresholds beside it. Nothing else lists variants."""

import fnmatch
from collections.abc import Iterable
from typing import Any

from crnn.registry.variant import Thresholds, Variant

# No row may lose more than half a point of CER to the original; those that claim to lose nothing, a tenth.
_MAX_CER, _A_TENTH = 0.0122, 0.001


def _onnx(name: str, technique: str, recipe: str, parent: str) -> Variant:
    """A conversion: it computes what its original computes, so it answers the same."""
    # BatchNorm's statistics are stored, and both LSTM biases, whichever framework it came from.
    thresholds = Thresholds(0.010, 1_493_486, 6_200_000, max_log_prob_difference=1e-4)
    return Variant(name, technique, f"crnn.optimize.{recipe}", "onnx", ".onnx", thresholds, parent)


def _torch(name: str, technique: str, recipe: str, thresholds: Thresholds, **more: Any) -> Variant:
    """Made from PyTorch's original."""
    more = {"runtime": "torch", "parent": "torch-original"} | more
    return Variant(name, technique, f"crnn.optimize.{recipe}", suffix=".pt", thresholds=thresholds, **more)


def _clustered(clusters: int, max_bytes: int) -> Variant:
    """Each tensor's weights share a few values; the file holds codebooks and indices."""
    return _torch(
        f"torch-clustered-{clusters}",
        f"{clusters} clusters a tensor",
        "clustering:cluster",
        Thresholds(_MAX_CER, 1_492_398, max_bytes),
        trained=True,
        recipe_options={"clusters": clusters},
        watched=False,
    )


def _same_weights(name: str, technique: str, runtime: str) -> Variant:
    """The original's file, executed in another way."""
    return _torch(
        name,
        technique,
        "quantization:same_weights",
        Thresholds(0.010, 1_492_398, 6_200_000, max_log_prob_difference=1e-3),
        runtime=runtime,
        runtime_options={"channels_last": True},
    )


def _keras(name: str, technique: str, recipe: str, thresholds: Thresholds, **more: Any) -> Variant:
    """Made from TensorFlow's original by its model optimization toolkit."""
    usual: dict[str, Any] = {"runtime": "tensorflow", "parent": "tf-original", "suffix": ".keras", "trained": True}
    return Variant(name, technique, f"crnn.optimize.{recipe}", thresholds=thresholds, **usual | more)


def _magnitude_pruned(part: str, technique: str, recurrent: bool, nonzero: int, max_bytes: int) -> Variant:
    """A fifth of the weights is left, in all layers or in some."""
    return _keras(
        f"tf-magnitude-pruned-{part}",
        technique,
        "magnitude_pruning:prune",
        Thresholds(_MAX_CER, 1_491_438, max_bytes, max_cer_difference=0.002, max_nonzero_parameters=nonzero),
        recipe_options={"recurrent": recurrent},
        watched=False,
    )


def _keras_clustered(clusters: int, max_bytes: int) -> Variant:
    """Each tensor's weights share a few values; the compressed file is smaller for it."""
    return _keras(
        f"tf-clustered-{clusters}",
        f"{clusters} clusters a tensor",
        "keras_clustering:cluster",
        Thresholds(_MAX_CER, 1_491_438, max_bytes),
        recipe_options={"clusters": clusters},
        watched=False,
    )


def _quantization_aware(name: str, technique: str, parent: str, **options: Any) -> Variant:
    """Trained with fake quantization, run by LiteRT."""
    return _keras(
        name,
        technique,
        "quantization_aware:train",
        # At another batch size other kernels may round otherwise, and a level of 256 can change.
        Thresholds(_MAX_CER, 1_490_350, 1_850_000, max_timed_difference=1.0),
        parent=parent,
        runtime="litert",
        suffix=".tflite",
        recipe_options=options,
        watched=False,
    )


def _executed(mode: str, technique: str) -> Variant:
    """TensorFlow's original, called in another way."""
    thresholds = Thresholds(0.010, 1_491_438, 6_200_000, max_log_prob_difference=1e-3)
    return _keras(
        f"tf-original-{mode}",
        technique,
        "quantization:same_weights",
        thresholds,
        trained=False,
        runtime_options={"mode": mode},
        watched=False,
    )


def _litert(name: str, quantization: str, thresholds: Thresholds, **more: Any) -> Variant:
    """Converted to LiteRT, quantized after training or not."""
    return Variant(
        f"litert-{name}",
        f"LiteRT {name}",
        "crnn.optimize.litert_convert:convert",
        runtime="litert",
        suffix=".tflite",
        thresholds=thresholds,
        parent="tf-original",
        recipe_options={"quantization": quantization},
        requires=("tensorflow", "tf_keras", "tensorflow_model_optimization"),
        **more,
    )


VARIANTS: tuple[Variant, ...] = (
    Variant(
        "torch-original",
        "original",
        "crnn.optimize.original:train_torch",
        runtime="torch",
        suffix=".pt",
        thresholds=Thresholds(0.010, 1_492_398, 6_200_000),
        trained=True,
    ),
    Variant(
        "tf-original",
        "original (tf.function)",
        "crnn.optimize.original:train_keras",
        runtime="tensorflow",
        suffix=".keras",
        thresholds=Thresholds(0.010, 1_491_438, 6_200_000),
        trained=True,
    ),
    _torch(
        "torch-channel-pruned-full",
        "a tenth of all channels pruned",
        "channel_pruning:prune",
        Thresholds(_MAX_CER, 1_218_859, 4_950_000, max_multiply_adds=193_000_000),
        trained=True,
        recipe_options={"fraction": 0.1, "recurrent": True},
    ),
    _torch(
        "torch-channel-pruned-partial",
        "a tenth of convolution channels pruned",
        "channel_pruning:prune",
        Thresholds(_MAX_CER, 1_389_809, 5_650_000, max_multiply_adds=203_000_000),
        trained=True,
        recipe_options={"fraction": 0.1, "recurrent": False},
    ),
    _torch(
        "torch-channel-pruned-iterative",
        "pruned in steps by Taylor scores, distilled",
        "iterative_pruning:prune",
        # A third of the original's multiply-adds at most.
        Thresholds(_MAX_CER, 712_390, 2_950_000, max_cer_difference=_A_TENTH, max_multiply_adds=233_753_600 // 3),
        trained=True,
        recipe_options={"reduction": 3.0, "steps": 4, "criterion": "taylor"},
    ),
    _torch(
        "torch-distilled",
        "student, distilled offline",
        "distillation:distill",
        Thresholds(_MAX_CER, 922_702, 3_750_000, max_cer_difference=_A_TENTH, max_multiply_adds=129_000_000),
        trained=True,
    ),
    _clustered(16, 800_000),
    _clustered(64, 1_200_000),
    _torch(
        "torch-int8-dynamic",
        "dynamic int8 LSTMs",
        "quantization:dynamic_int8",
        # Scales are taken from each batch, so a line's answer depends a little on its neighbours.
        Thresholds(_MAX_CER, 1_492_398, 2_900_000, max_log_prob_difference=8.0, max_timed_difference=6.0),
    ),
    _torch(
        "torch-int8-static",
        "static int8 convolutions (PT2E), inductor",
        "quantization:static_int8",
        # At another batch size other kernels round otherwise, and a level of 256 can change.
        Thresholds(_MAX_CER, 1_492_398, 4_900_000, max_log_prob_difference=8.0, max_timed_difference=1.0),
        runtime="torch_compiled",
        runtime_options={"channels_last": True},
        # Calibration draws the validation split.
        requires=("torchao", "PIL", "faker", "tqdm"),
    ),
    _torch(
        "torch-bf16",
        "bfloat16 throughout",
        "quantization:to_bfloat16",
        Thresholds(_MAX_CER, 1_492_398, 3_100_000, max_log_prob_difference=4.0, max_timed_difference=1.0),
        runtime_options={"dtype": "bfloat16"},
    ),
    _same_weights("torch-channels-last", "channels last", "torch"),
    _same_weights("torch-compiled", "inductor", "torch_compiled"),
    _magnitude_pruned("full", "80 % zeros", True, 303_000, 1_000_000),
    _magnitude_pruned("partial", "80 % zeros in convolutions and classifier", False, 1_145_000, 2_400_000),
    _keras_clustered(16, 850_000),
    _keras_clustered(64, 1_300_000),
    _keras(
        "tf-magnitude-pruned-clustered",
        "80 % zeros, 16 clusters a tensor",
        "keras_clustering:cluster",
        Thresholds(_MAX_CER, 1_491_438, 500_000, max_nonzero_parameters=303_000),
        parent="tf-magnitude-pruned-full",
        recipe_options={"clusters": 16, "keep_zeros": True},
        watched=False,
    ),
    _quantization_aware("tf-int8-qat", "int8 convolutions, trained for it (QAT)", "tf-original"),
    _quantization_aware("tf-int8-pcqat", "pruned, clustered, QAT", "tf-magnitude-pruned-clustered", preserve=True),
    _executed("xla", "XLA"),
    _executed("predict", "Keras predict"),
    _executed("eager", "eager"),
    _litert("fp32", "none", Thresholds(0.010, 1_490_350, 6_100_000, max_log_prob_difference=1e-3)),
    _litert("fp16", "float16", Thresholds(_MAX_CER, 1_490_350, 3_200_000, max_log_prob_difference=1.0), watched=False),
    _litert(
        "int8-dynamic",
        "dynamic",
        Thresholds(_MAX_CER, 1_490_350, 1_700_000, max_log_prob_difference=8.0, max_timed_difference=1.0),
    ),
    _litert(
        "int8-static",
        "static",
        Thresholds(_MAX_CER, 1_490_350, 1_850_000, max_log_prob_difference=12.0, max_timed_difference=1.0),
    ),
    _onnx("ort-tf2onnx", "tf2onnx", "onnx_convert:from_keras", "tf-original"),
    _onnx("ort-tf2onnx-optimized", "tf2onnx + onnxoptimizer + onnxsim", "onnx_graph:optimize", "ort-tf2onnx"),
    _onnx("ort-torch2onnx", "torch2onnx", "onnx_convert:from_torch", "torch-original"),
    _onnx("ort-torch2onnx-optimized", "torch2onnx + onnxoptimizer + onnxsim", "onnx_graph:optimize", "ort-torch2onnx"),
)


def names() -> tuple[str, ...]:
    """All names, in the table's order."""
    return tuple(variant.name for variant in VARIANTS)


def get(name: str) -> Variant:
    """The variant of that name.

    Raises:
        LookupError: there is none; the message lists the names.
    """
    for variant in VARIANTS:
        if variant.name == name:
            return variant
    raise LookupError(f"no variant {name!r}; there are: {', '.join(names())}")


def matching(patterns: Iterable[str]) -> tuple[Variant, ...]:
    """The variants that match any of the shell-style patterns, in the table's order.

    Raises:
        LookupError: a pattern matches none; the message lists the names.
    """
    patterns = list(patterns)
    for pattern in patterns:
        if not fnmatch.filter(names(), pattern):
            raise LookupError(f"no variant matches {pattern!r}; there are: {', '.join(names())}")
    return tuple(v for v in VARIANTS if any(fnmatch.fnmatchcase(v.name, pattern) for pattern in patterns))


def original_of(variant: Variant) -> Variant:
    """The trained original that the variant descends from; itself for an original."""
    return (variant, *ancestors(variant))[-1]


def ancestors(variant: Variant) -> tuple[Variant, ...]:
    """Parent, grandparent and so on up to the original."""
    line = []
    while variant.parent is not None:
        variant = get(variant.parent)
        line.append(variant)
    return tuple(line)
