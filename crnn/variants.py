"""The registry: one entry a row of the table, thresholds beside it. Nothing else lists variants."""

import fnmatch
import importlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crnn.optimize.recipe import Recipe


@dataclass(frozen=True)
class Thresholds:
    """What a variant must hold; each is an assertion of a benchmark test.

    ``max_cer`` and ``parameters`` hold on the field corpus: another corpus has its
    own difficulty and its own number of classes.

    Attributes:
        max_cer: CER, as a fraction.
        parameters: stored parameters, exactly, as the artifact's framework counts.
        max_bytes: size of the artifact.
        max_multiply_adds: for one line.
        max_peak_memory_bytes: resident set of the worker while judging.
        max_log_prob_difference: to the parent, on any line, step and class; None
            where the technique does not promise to compute the same function.
        max_timed_difference: in log probability between a line's answer in a timed
            batch and the one that was judged; more than rounding only where a line's
            answer depends on its batch, as with scales taken at run time.
        gate: limits of this variant's own for changes from a baseline, such as
            ``{"latency": "8%"}``; see ``crnn/gate/limits.py``.
    """

    max_cer: float
    parameters: int
    max_bytes: int
    max_multiply_adds: int = 234_000_000
    max_peak_memory_bytes: int = 4_000_000_000
    max_log_prob_difference: float | None = None
    max_timed_difference: float = 1e-3
    gate: "Mapping[str, str]" = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        name: lower case, the key in test ids, baselines and file names: never rename it.
        technique: what was done, in words.
        recipe: ``module:function`` that makes the artifact, imported when it is built.
        runtime: the engine, see ``crnn/runtimes/base.py``.
        suffix: of the artifact's file.
        thresholds: what it must hold.
        parent: name of the variant it is made from, None for an original.
        trained: whether making it takes training; then its artifact for the field
            corpus is shipped in the repository. Others are built on first use.
        recipe_options: the recipe's settings, where one recipe makes several rows.
        runtime_options: passed to the engine's ``load``.
        requires: modules that recipe or artifact need beside the engine's.
    """

    name: str
    technique: str
    recipe: str
    runtime: str
    suffix: str
    thresholds: Thresholds
    parent: str | None = None
    trained: bool = False
    recipe_options: "Mapping[str, Any]" = field(default_factory=dict)
    runtime_options: "Mapping[str, Any]" = field(default_factory=dict)
    requires: tuple[str, ...] = ()

    def load_recipe(self) -> "Recipe":
        """The recipe's function; this imports its module, not yet a framework."""
        module, function = self.recipe.split(":")
        return getattr(importlib.import_module(module), function)


def _onnx(name: str, technique: str, recipe: str, parent: str) -> Variant:
    """A conversion: it computes what its original computes, so it answers the same."""
    return Variant(
        name,
        technique,
        f"crnn.optimize.{recipe}",
        runtime="onnx",
        suffix=".onnx",
        # BatchNorm's statistics are stored, and both LSTM biases, whichever framework it came from.
        thresholds=Thresholds(0.010, 1_493_486, 6_200_000, max_log_prob_difference=1e-4),
        parent=parent,
    )


def _pruned(name: str, technique: str, thresholds: Thresholds, options: "Mapping[str, Any]") -> Variant:
    """The same share of every layer's channels removed, by L1 norm, and tuned."""
    return Variant(
        name,
        technique,
        "crnn.optimize.channel_pruning:prune",
        runtime="torch",
        suffix=".pt",
        thresholds=thresholds,
        parent="torch-original",
        trained=True,
        recipe_options=options,
    )


def _clustered(name: str, clusters: int, max_bytes: int) -> Variant:
    """Each tensor's weights share a few values; the file holds codebooks and indices."""
    return Variant(
        name,
        f"{clusters} clusters a tensor",
        "crnn.optimize.clustering:cluster",
        runtime="torch",
        suffix=".pt",
        thresholds=Thresholds(0.0122, 1_492_398, max_bytes),
        parent="torch-original",
        trained=True,
        recipe_options={"clusters": clusters},
    )


_SAME = Thresholds(0.010, 1_492_398, 6_200_000, max_log_prob_difference=1e-3)
"""The original's weights, executed in another way."""


def _post(
    name: str,
    technique: str,
    recipe: str,
    thresholds: Thresholds,
    runtime: str = "torch",
    requires: tuple[str, ...] = (),
    **runtime_options: Any,
) -> Variant:
    """Made from PyTorch's original without training."""
    return Variant(
        name,
        technique,
        f"crnn.optimize.quantization:{recipe}",
        runtime,
        suffix=".pt",
        thresholds=thresholds,
        parent="torch-original",
        runtime_options=runtime_options,
        requires=requires,
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
    _pruned(
        "torch-channel-pruned-full",
        "a tenth of all channels pruned",
        Thresholds(0.0122, 1_218_859, 4_950_000, max_multiply_adds=192_000_000),
        {"fraction": 0.1, "recurrent": True},
    ),
    _pruned(
        "torch-channel-pruned-partial",
        "a tenth of convolution channels pruned",
        Thresholds(0.0122, 1_389_809, 5_650_000, max_multiply_adds=201_000_000),
        {"fraction": 0.1, "recurrent": False},
    ),
    Variant(
        "torch-channel-pruned-iterative",
        "pruned iteratively by Taylor scores, distilled",
        "crnn.optimize.iterative_pruning:prune",
        runtime="torch",
        suffix=".pt",
        # A third of the original's multiply-adds at most.
        thresholds=Thresholds(0.0082, 0, 4_000_000, max_multiply_adds=233_753_600 // 3),
        parent="torch-original",
        trained=True,
    ),
    Variant(
        "torch-distilled",
        "student, distilled offline",
        "crnn.optimize.distillation:distill",
        runtime="torch",
        suffix=".pt",
        thresholds=Thresholds(0.0082, 922_702, 3_750_000, max_multiply_adds=129_000_000),
        parent="torch-original",
        trained=True,
    ),
    _clustered("torch-clustered-16", 16, 800_000),
    _clustered("torch-clustered-64", 64, 1_200_000),
    _post(
        "torch-bf16",
        "bfloat16 throughout",
        "to_bfloat16",
        Thresholds(0.0122, 1_492_398, 3_100_000, max_log_prob_difference=4.0),
        dtype="bfloat16",
    ),
    _post(
        "torch-int8-dynamic",
        "dynamic int8 LSTMs",
        "dynamic_int8",
        # Scales are taken from each batch, so a line's answer depends a little on its neighbours.
        Thresholds(0.0122, 1_492_398, 2_900_000, max_log_prob_difference=8.0, max_timed_difference=2.0),
    ),
    _post(
        "torch-int8-static",
        "static int8 convolutions (PT2E), inductor",
        "static_int8",
        Thresholds(0.0122, 1_492_398, 4_900_000, max_log_prob_difference=8.0),
        runtime="torch_compiled",
        # Calibration draws the validation split.
        requires=("torchao", "PIL", "faker"),
        channels_last=True,
    ),
    _post("torch-channels-last", "channels last", "same_weights", _SAME, channels_last=True),
    _post("torch-compiled", "inductor", "same_weights", _SAME, runtime="torch_compiled", channels_last=True),
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
