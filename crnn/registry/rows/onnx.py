"""ONNX Runtime's rows: exported graphs, plain and optimized."""

from typing import Any

from crnn.registry.rows import originals, pytorch
from crnn.registry.rows.originals import RECIPES

# ONNX Runtime. A graph stores BatchNorm's statistics and both LSTM biases, from either framework.
_ONNX: dict[str, Any] = {
    "runtime": "onnx",
    "suffix": ".onnx",
    "parameters": 1_493_486,
    "max_peak_memory_bytes": 860_000_000,
    "max_log_prob_difference": 1e-4,
}
_OPTIMIZE = f"{RECIPES}.onnx_graph:optimize"
_OPTIMIZED: dict[str, Any] = {"requires": ("onnxoptimizer", "onnxsim"), "max_log_prob_difference": 1e-4}
TF2ONNX = originals.TF.derive("ort-tf2onnx", "tf2onnx", f"{RECIPES}.onnx_convert:from_keras", **_ONNX)
TF2ONNX_OPTIMIZED = TF2ONNX.derive(
    "ort-tf2onnx-optimized", "tf2onnx + onnxoptimizer + onnxsim", _OPTIMIZE, **_OPTIMIZED
)
TORCH2ONNX = originals.TORCH.derive("ort-torch2onnx", "torch2onnx", f"{RECIPES}.onnx_convert:from_torch", **_ONNX)
TORCH2ONNX_OPTIMIZED = TORCH2ONNX.derive(
    "ort-torch2onnx-optimized", "torch2onnx + onnxoptimizer + onnxsim", _OPTIMIZE, **_OPTIMIZED
)

# The project's own rewriting of the graph, and int8.
QUANTIZE = f"{RECIPES}.onnx_int8:static"
# Calibration draws the validation split.
_CALIBRATED = ("onnxoptimizer", "onnxsim", "torch", "onnxscript", "faker", "tqdm")
# Scales of the LSTMs are taken from each batch, so the output for a line depends a little on its neighbours.
# Memory: their kernels for AMX take a fifth more, 342 MB instead of 284 MB for ort-pruned-int8.
_DEPENDS: dict[str, Any] = {"max_timed_difference": 4.2, "max_lines_read_differently": 20}
_STATIC: dict[str, Any] = {"requires": _CALIBRATED, "precision": "int8", "small": True}
QUANTIZED = _STATIC | {"runtime": "onnx", "suffix": ".onnx"}
_INT8 = QUANTIZED | _DEPENDS
REWRITTEN = TORCH2ONNX_OPTIMIZED.derive(
    "ort-rewritten",
    "BatchNorm behind MaxPool, last one in the LSTM",
    f"{RECIPES}.onnx_rewrite:rewrite",
    parameters=1_492_462,
    max_peak_memory_bytes=520_000_000,
    max_log_prob_difference=1e-4,
)
INT8_DYNAMIC = TORCH2ONNX_OPTIMIZED.derive(
    "ort-int8-dynamic",
    "dynamic int8 LSTMs",
    f"{RECIPES}.onnx_int8:dynamic",
    max_bytes=2_900_000,
    max_peak_memory_bytes=800_000_000,
    max_log_prob_difference=2.7,
    **_DEPENDS,
)
INT8_STATIC = originals.TORCH.derive(
    "ort-int8-static",
    "static int8 convolutions, dynamic int8 LSTMs",
    QUANTIZE,
    **_INT8,
    recipe_options={"rewritten": False},
    parameters=1_495_118,
    max_bytes=1_600_000,
    max_peak_memory_bytes=860_000_000,
    max_log_prob_difference=8,
)
REWRITTEN_INT8 = INT8_STATIC.sibling(
    "ort-rewritten-int8",
    "rewritten, then int8",
    recipe_options={"rewritten": True},
    parameters=1_493_134,
    max_peak_memory_bytes=545_000_000,
    max_log_prob_difference=10,
)
TF_INT8 = TF2ONNX_OPTIMIZED.derive(
    "ort-tf-int8",
    "rewritten, then int8",
    QUANTIZE,
    **_STATIC,
    **_DEPENDS,
    recipe_options={"rewritten": True},
    parameters=1_493_134,
    max_bytes=1_600_000,
    max_peak_memory_bytes=545_000_000,
    max_log_prob_difference=8,
)
PRUNED_INT8 = pytorch.PRUNED_ITERATIVE.derive(
    "ort-pruned-int8",
    "pruned, rewritten, then int8",
    QUANTIZE,
    **_INT8,
    recipe_options={"rewritten": True},
    parameters=712_862,
    max_bytes=785_000,
    max_peak_memory_bytes=350_000_000,
    max_log_prob_difference=8,
)
