"""The fastest rows: a recognizer without recurrent layers, trained on fresh lines, in int8."""

from crnn.registry.rows import onnx, openvino, originals
from crnn.registry.rows.originals import RECIPES

# They read better than the original.
TORCH = originals.TORCH.derive(
    "fastest-torch",
    "convolutional, fresh lines",
    f"{RECIPES}.fastest:train",
    trained=True,
    small=True,
    parameters=273_354,
    macs=16_683_000,
    max_bytes=1_150_000,
    max_peak_memory_bytes=400_000_000,
    max_cer_difference=0,
    max_timed_difference=3e-4,
)
OPENVINO = TORCH.derive(
    "fastest-ov-int8",
    "convolutional, OpenVINO int8",
    openvino.QUANTIZE,
    **openvino.QUANTIZED,
    recipe_options={"whole_ranges": True},
    parameters=273_446,
    max_bytes=295_000,
    max_peak_memory_bytes=250_000_000,
    max_cer_difference=0,
    max_log_prob_difference=30,
)
ONNX = TORCH.derive(
    "fastest-ort-int8",
    "convolutional, ONNX Runtime int8",
    onnx.QUANTIZE,
    **onnx.QUANTIZED,
    recipe_options={"rewritten": False},
    parameters=274_580,
    max_bytes=299_000,
    max_peak_memory_bytes=170_000_000,
    max_cer_difference=0,
    max_log_prob_difference=30,
)
