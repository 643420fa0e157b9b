"""The fastest rows: recognizers without recurrent layers, trained on fresh lines, in int8."""

from crnn.registry.rows import onnx, openvino, originals
from crnn.registry.rows.originals import RECIPES

# No loss shown.
LARGE = originals.TORCH.derive(
    "fastest-large-torch",
    "convolutional, fresh lines",
    f"{RECIPES}.fastest:train",
    trained=True,
    recipe_options={"columns": ((64, 5, 2), (96, 5, 2), (128, 5, 2)), "soft": 0.0},
    parameters=273_354,
    macs=16_683_000,
    max_bytes=1_150_000,
    max_peak_memory_bytes=600_000_000,
)
LARGE_OPENVINO = LARGE.derive(
    "fastest-large-ov-int8",
    "convolutional, OpenVINO int8",
    openvino.QUANTIZE,
    **openvino.QUANTIZED,
    max_bytes=295_000,
    max_peak_memory_bytes=250_000_000,
    max_log_prob_difference=4,
)
SMALL = LARGE.derive(
    "fastest-torch",
    "smaller convolutional student, fresh lines",
    f"{RECIPES}.fastest:train",
    trained=True,
    parameters=203_338,
    macs=12_230_200,
    max_bytes=845_000,
)
SMALL_OPENVINO = SMALL.derive(
    "fastest-ov-int8",
    "smaller convolutional student, OpenVINO int8",
    openvino.QUANTIZE,
    **openvino.QUANTIZED,
    max_bytes=219_000,
    max_peak_memory_bytes=250_000_000,
    max_log_prob_difference=4,
)
SMALL_ONNX = SMALL.derive(
    "fastest-ort-int8",
    "smaller convolutional student, ONNX Runtime int8",
    onnx.QUANTIZE,
    **onnx.QUANTIZED,
    recipe_options={"rewritten": False},
    max_bytes=232_000,
    max_peak_memory_bytes=250_000_000,
    max_log_prob_difference=4,
)
