"""The rows of the table: one entry each, derived from its parent, with its thresholds.

The order of the entries is the order of the table.
"""

from typing import Any

from crnn.registry.variant import Thresholds, Variant

_RECIPES = "crnn.optimize"

TORCH = Variant(
    "torch-original",
    "original",
    f"{_RECIPES}.original:train_torch",
    framework="torch",
    runtime="torch",
    suffix=".pt",
    thresholds=Thresholds(
        parameters=1_492_398,
        macs=233_753_600,
        max_bytes=6_200_000,
        max_peak_memory_bytes=950_000_000,
        max_cer=0.0081,
    ),
    trained=True,
)
TF = Variant(
    "tf-original",
    "original (tf.function)",
    f"{_RECIPES}.original:train_keras",
    framework="keras",
    runtime="tensorflow",
    suffix=".keras",
    thresholds=Thresholds(
        parameters=1_491_438,
        macs=233_753_600,
        max_bytes=6_200_000,
        max_peak_memory_bytes=1_600_000_000,
        max_cer=0.0089,
    ),
    trained=True,
)

# Smaller PyTorch models.
PRUNED_FULL = TORCH.derive(
    "torch-channel-pruned-full",
    "a tenth of all channels pruned",
    f"{_RECIPES}.channel_pruning:prune",
    trained=True,
    recipe_options={"fraction": 0.1, "recurrent": True},
    parameters=1_218_859,
    macs=191_873_700,
    max_bytes=4_950_000,
)
PRUNED_PARTIAL = PRUNED_FULL.sibling(
    "torch-channel-pruned-partial",
    "a tenth of convolution channels pruned",
    recipe_options={"fraction": 0.1, "recurrent": False},
    parameters=1_389_809,
    macs=200_401_200,
    max_bytes=5_650_000,
    max_peak_memory_bytes=940_000_000,
)
PRUNED_ITERATIVE = TORCH.derive(
    "torch-channel-pruned-iterative",
    "pruned in steps by Taylor scores, distilled",
    f"{_RECIPES}.iterative_pruning:prune",
    trained=True,
    recipe_options={"reduction": 3.0, "steps": 4, "criterion": "taylor"},
    parameters=712_390,
    macs=77_001_600,
    max_bytes=2_950_000,
    max_peak_memory_bytes=800_000_000,
)
DISTILLED = TORCH.derive(
    "torch-distilled",
    "student, distilled offline",
    f"{_RECIPES}.distillation:distill",
    trained=True,
    parameters=922_702,
    macs=127_699_200,
    max_bytes=3_750_000,
    max_peak_memory_bytes=700_000_000,
)
CLUSTERED_16 = TORCH.derive(
    "torch-clustered-16",
    "16 clusters per tensor",
    f"{_RECIPES}.clustering:cluster",
    trained=True,
    recipe_options={"clusters": 16},
    max_bytes=800_000,
    max_cer_difference=0.0015,
    # The original's graph with other weights.
    watched=False,
)
CLUSTERED_64 = CLUSTERED_16.sibling(
    "torch-clustered-64",
    "64 clusters per tensor",
    recipe_options={"clusters": 64},
    max_bytes=1_200_000,
    max_cer_difference=0.0013,
)

# PyTorch's original, quantized after training or executed differently.
_QUANTIZATION = f"{_RECIPES}.quantization"
_SAME_WEIGHTS = f"{_QUANTIZATION}:same_weights"
INT8_DYNAMIC = TORCH.derive(
    "torch-int8-dynamic",
    "dynamic int8 LSTMs",
    f"{_QUANTIZATION}:dynamic_int8",
    max_bytes=2_900_000,
    max_peak_memory_bytes=1_150_000_000,
    max_log_prob_difference=4.8,
    # Scales are taken from each batch, so the output for a line depends a little on its neighbours.
    max_timed_difference=3.4,
)
INT8_STATIC = TORCH.derive(
    "torch-int8-static",
    "static int8 convolutions (PT2E), inductor",
    f"{_QUANTIZATION}:static_int8",
    runtime="torch_compiled",
    runtime_options={"channels_last": True},
    # Calibration draws the validation split.
    requires=("torchao", "faker", "tqdm"),
    max_bytes=4_900_000,
    max_log_prob_difference=4.4,
)
BF16 = TORCH.derive(
    "torch-bf16",
    "bfloat16 throughout",
    f"{_QUANTIZATION}:to_bfloat16",
    runtime_options={"dtype": "bfloat16"},
    max_bytes=3_100_000,
    max_peak_memory_bytes=860_000_000,
    max_log_prob_difference=1.0,
    max_timed_difference=0.37,
)
CHANNELS_LAST = TORCH.derive(
    "torch-channels-last",
    "channels last",
    _SAME_WEIGHTS,
    runtime_options={"channels_last": True},
    max_log_prob_difference=1e-4,
)
COMPILED = CHANNELS_LAST.sibling("torch-compiled", "inductor", runtime="torch_compiled")

# Compressed Keras models: the original's graph with other weights.
ZEROS_FULL = TF.derive(
    "tf-magnitude-pruned-full",
    "80 % zeros",
    f"{_RECIPES}.magnitude_pruning:prune",
    trained=True,
    recipe_options={"recurrent": True},
    max_bytes=950_000,
    max_nonzero_parameters=303_000,
    max_cer_difference=0.002,
    watched=False,
)
ZEROS_PARTIAL = ZEROS_FULL.sibling(
    "tf-magnitude-pruned-partial",
    "80 % zeros in convolutions and classifier",
    recipe_options={"recurrent": False},
    max_bytes=2_300_000,
    max_nonzero_parameters=1_145_000,
    max_cer_difference=0.001,
)
TF_CLUSTERED_16 = TF.derive(
    "tf-clustered-16",
    "16 clusters per tensor",
    f"{_RECIPES}.keras_clustering:cluster",
    trained=True,
    recipe_options={"clusters": 16},
    max_bytes=800_000,
    watched=False,
)
TF_CLUSTERED_64 = TF_CLUSTERED_16.sibling(
    "tf-clustered-64", "64 clusters per tensor", recipe_options={"clusters": 64}, max_bytes=1_240_000
)
ZEROS_CLUSTERED = ZEROS_FULL.derive(
    "tf-magnitude-pruned-clustered",
    "80 % zeros, 16 clusters per tensor",
    f"{_RECIPES}.keras_clustering:cluster",
    trained=True,
    recipe_options={"clusters": 16, "keep_zeros": True},
    max_bytes=410_000,
    max_cer_difference=0.0023,
    watched=False,
)

# LiteRT, trained with fake quantization.
_LITERT: dict[str, Any] = {
    "runtime": "litert",
    "suffix": ".tflite",
    # Only scale and shift of BatchNorm are left.
    "parameters": 1_490_350,
    "max_peak_memory_bytes": 540_000_000,
}
_INT8_BYTES = 1_840_000
QAT = TF.derive(
    "tf-int8-qat",
    "int8 convolutions, trained for it (QAT)",
    f"{_RECIPES}.quantization_aware:train",
    **_LITERT,
    trained=True,
    max_bytes=_INT8_BYTES,
    # The graph of litert-int8-static.
    watched=False,
)
PCQAT = ZEROS_CLUSTERED.derive(
    "tf-int8-pcqat",
    "pruned, clustered, QAT",
    QAT.recipe,
    **_LITERT,
    trained=True,
    recipe_options={"preserve": True},
    max_bytes=_INT8_BYTES,
    max_cer_difference=0.0025,
    watched=False,
)
# TensorFlow's original called in other ways: illustrative rows.
XLA = TF.derive(
    "tf-original-xla",
    "XLA",
    _SAME_WEIGHTS,
    runtime_options={"mode": "xla"},
    max_log_prob_difference=1e-4,
    max_peak_memory_bytes=1_430_000_000,
    watched=False,
)
PREDICT = TF.derive(
    "tf-original-predict",
    "Keras predict",
    _SAME_WEIGHTS,
    runtime_options={"mode": "predict"},
    max_log_prob_difference=1e-4,
    watched=False,
)
EAGER = PREDICT.sibling("tf-original-eager", "eager", runtime_options={"mode": "eager"})

# LiteRT, converted after training.
LITERT_FP32 = TF.derive(
    "litert-fp32",
    "LiteRT fp32",
    f"{_RECIPES}.litert_convert:convert",
    **_LITERT,
    recipe_options={"quantization": "none"},
    requires=("tensorflow", "tf_keras", "tensorflow_model_optimization"),
    max_log_prob_difference=1e-4,
)
LITERT_FP16 = LITERT_FP32.sibling(
    "litert-fp16",
    "LiteRT fp16",
    recipe_options={"quantization": "float16"},
    max_bytes=3_200_000,
    max_log_prob_difference=0.09,
    # The graph of litert-fp32.
    watched=False,
)
LITERT_DYNAMIC = LITERT_FP32.sibling(
    "litert-int8-dynamic",
    "LiteRT int8-dynamic",
    recipe_options={"quantization": "dynamic"},
    max_bytes=1_700_000,
    max_log_prob_difference=2.7,
)
LITERT_STATIC = LITERT_FP32.sibling(
    "litert-int8-static",
    "LiteRT int8-static",
    recipe_options={"quantization": "static"},
    max_bytes=_INT8_BYTES,
    max_log_prob_difference=8.9,
)

# ONNX Runtime. A graph stores BatchNorm's statistics and both LSTM biases, from either framework.
_ONNX: dict[str, Any] = {
    "runtime": "onnx",
    "suffix": ".onnx",
    "parameters": 1_493_486,
    "max_peak_memory_bytes": 1_300_000_000,
    "max_log_prob_difference": 1e-4,
}
_OPTIMIZE = f"{_RECIPES}.onnx_graph:optimize"
_OPTIMIZED: dict[str, Any] = {"requires": ("onnxoptimizer", "onnxsim"), "max_log_prob_difference": 1e-4}
TF2ONNX = TF.derive("ort-tf2onnx", "tf2onnx", f"{_RECIPES}.onnx_convert:from_keras", **_ONNX)
TF2ONNX_OPTIMIZED = TF2ONNX.derive(
    "ort-tf2onnx-optimized", "tf2onnx + onnxoptimizer + onnxsim", _OPTIMIZE, **_OPTIMIZED
)
TORCH2ONNX = TORCH.derive("ort-torch2onnx", "torch2onnx", f"{_RECIPES}.onnx_convert:from_torch", **_ONNX)
TORCH2ONNX_OPTIMIZED = TORCH2ONNX.derive(
    "ort-torch2onnx-optimized", "torch2onnx + onnxoptimizer + onnxsim", _OPTIMIZE, **_OPTIMIZED
)

VARIANTS: tuple[Variant, ...] = tuple(entry for entry in tuple(vars().values()) if isinstance(entry, Variant))
