"""ONNX Runtime's rows: exported graphs, plain and optimized."""

from typing import Any

from crnn.registry.rows import originals
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
