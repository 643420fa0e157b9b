"""OpenVINO's rows: PyTorch's models, converted by way of ONNX."""

from typing import Any

from crnn.registry.rows import originals, pytorch
from crnn.registry.rows.originals import RECIPES

_CONVERT, _QUANTIZE = f"{RECIPES}.openvino_convert:convert", f"{RECIPES}.openvino_convert:quantize"
_OPENVINO: dict[str, Any] = {"runtime": "openvino", "suffix": ".openvino", "requires": ("torch", "onnx", "onnxscript")}
# Calibration draws the validation split.
_INT8 = _OPENVINO | {"requires": (*_OPENVINO["requires"], "nncf", "faker", "tqdm"), "precision": "int8"}
FP32 = originals.TORCH.derive("ov-fp32", "OpenVINO fp32", _CONVERT, **_OPENVINO, max_log_prob_difference=1e-4)
BF16 = FP32.sibling(
    "ov-bf16",
    "OpenVINO bfloat16",
    runtime_options={"precision": "bf16"},
    precision="bf16",
    max_log_prob_difference=1.0,
)
INT8 = originals.TORCH.derive(
    "ov-int8", "OpenVINO int8 (NNCF), LSTMs too", _QUANTIZE, **_INT8, max_bytes=1_700_000, max_log_prob_difference=5
)
DISTILLED_INT8 = pytorch.DISTILLED.derive(
    "ov-distilled-int8",
    "distilled, then OpenVINO int8",
    _QUANTIZE,
    **_INT8,
    max_bytes=1_100_000,
    max_log_prob_difference=5,
)
PRUNED_INT8 = pytorch.PRUNED_ITERATIVE.derive(
    "ov-pruned-int8",
    "pruned, then OpenVINO int8",
    _QUANTIZE,
    **_INT8,
    max_bytes=900_000,
    max_log_prob_difference=5,
)
