"""The fastest rows: recognizers without recurrent layers, trained on fresh lines, in int8."""

from crnn.registry.rows import openvino, originals
from crnn.registry.rows.originals import RECIPES

# Reads better than the original.
LARGE = originals.TORCH.derive(
    "fastest-large-torch",
    "convolutional, fresh lines",
    f"{RECIPES}.fastest:train",
    trained=True,
    recipe_options={"columns": ((64, 5, 2), (96, 5, 2), (128, 5, 2)), "soft": 0.0},
    parameters=273_354,
    macs=16_683_000,
    max_bytes=1_150_000,
    max_peak_memory_bytes=400_000_000,
    max_cer_difference=0,
    max_timed_difference=3e-4,
)
LARGE_OPENVINO = LARGE.derive(
    "fastest-large-ov-int8",
    "convolutional, OpenVINO int8",
    openvino.QUANTIZE,
    **openvino.QUANTIZED,
    recipe_options={"whole_ranges": True},
    parameters=273_446,
    max_bytes=295_000,
    max_peak_memory_bytes=240_000_000,
    max_cer_difference=0,
    max_log_prob_difference=20,
)
