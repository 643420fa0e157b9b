"""OpenVINO's rows: PyTorch's models, converted by way of ONNX."""

from typing import Any

from crnn.registry.rows import originals, pytorch
from crnn.registry.rows.originals import RECIPES

_CONVERT, QUANTIZE = f"{RECIPES}.openvino_convert:convert", f"{RECIPES}.openvino_convert:quantize"
_OPENVINO: dict[str, Any] = {"runtime": "openvino", "suffix": ".openvino", "requires": ("torch", "onnx", "onnxscript")}
# Calibration draws the validation split.
_INT8 = _OPENVINO | {"requires": (*_OPENVINO["requires"], "nncf", "faker", "tqdm"), "precision": "int8"}
QUANTIZED = _INT8 | {"small": True}
FP32 = originals.TORCH.derive(
    "ov-fp32",
    "OpenVINO fp32",
    _CONVERT,
    **_OPENVINO,
    # BatchNorm's statistics are stored, and one bias per LSTM.
    parameters=1_491_438,
    max_peak_memory_bytes=630_000_000,
    max_log_prob_difference=1e-4,
)
BF16 = FP32.sibling(
    "ov-bf16",
    "OpenVINO bfloat16",
    runtime_options={"precision": "bf16"},
    precision="bf16",
    max_peak_memory_bytes=450_000_000,
    max_log_prob_difference=1.1,
    max_timed_difference=0.06,
    max_lines_read_differently=2,
)
# Levels next to a rounding boundary change with the order of summation, which depends on the batch size and on the
# processor: 0.009 where it was measured. None after rewriting.
INT8 = originals.TORCH.derive(
    "ov-int8",
    "OpenVINO int8 (NNCF), LSTMs compute in float",
    QUANTIZE,
    **_INT8,
    parameters=1_496_124,
    max_bytes=1_600_000,
    max_peak_memory_bytes=360_000_000,
    max_log_prob_difference=7,
    max_timed_difference=0.015,
)
DISTILLED_INT8 = pytorch.DISTILLED.derive(
    "ov-distilled-int8",
    "distilled, then OpenVINO int8",
    QUANTIZE,
    **QUANTIZED,
    parameters=925_580,
    max_bytes=1_000_000,
    max_peak_memory_bytes=290_000_000,
    max_cer_difference=0.0014,
    max_log_prob_difference=5,
    max_timed_difference=0.015,
)
PRUNED_INT8 = pytorch.PRUNED_ITERATIVE.derive(
    "ov-pruned-int8",
    "pruned, rewritten, then OpenVINO int8",
    QUANTIZE,
    **QUANTIZED | {"requires": (*QUANTIZED["requires"], "onnxoptimizer", "onnxsim")},
    recipe_options={"rewritten": True},
    parameters=713_708,
    max_bytes=770_000,
    max_peak_memory_bytes=425_000_000,
    max_log_prob_difference=4,
)
