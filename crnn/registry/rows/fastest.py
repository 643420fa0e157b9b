"""The fastest rows: recognizers without recurrent layers, trained on fresh lines, in int8."""

from crnn.registry.rows import onnx, openvino, originals
from crnn.registry.rows.originals import RECIPES

# No loss shown.
LARGE = originals.TORCH.derive(
    "fastest-large-torch",
    "convolutional student, fresh lines",
    f"{RECIPES}.fastest:train",
    trained=True,
    recipe_options={"columns": ((96, 5, 2), (128, 5, 2), (144, 5, 2)), "context": (5, 5, 5)},
    parameters=488_362,
    macs=29_711_800,
    max_bytes=2_050_000,
    max_peak_memory_bytes=600_000_000,
)
LARGE_OPENVINO = LARGE.derive(
    "fastest-large-ov-int8",
    "convolutional student, OpenVINO int8",
    openvino.QUANTIZE,
    **openvino.QUANTIZED,
    max_bytes=520_000,
    max_peak_memory_bytes=250_000_000,
    max_log_prob_difference=4,
)
SMALL = LARGE.sibling(
    "fastest-torch",
    "smaller convolutional student, fresh lines",
    recipe_options={},
    parameters=273_354,
    macs=16_683_000,
    max_bytes=1_150_000,
)
SMALL_OPENVINO = SMALL.derive(
    "fastest-ov-int8",
    "smaller convolutional student, OpenVINO int8",
    openvino.QUANTIZE,
    **openvino.QUANTIZED,
    max_bytes=295_000,
    max_peak_memory_bytes=250_000_000,
    max_log_prob_difference=4,
)
SMALL_ONNX = SMALL.derive(
    "fastest-ort-int8",
    "smaller convolutional student, ONNX Runtime int8",
    onnx.QUANTIZE,
    **onnx.QUANTIZED,
    recipe_options={"rewritten": False},
    max_bytes=310_000,
    max_peak_memory_bytes=250_000_000,
    max_log_prob_difference=4,
)
