"""Rows of engines that are made for phones and small devices: PyTorch's original, converted."""

from crnn.registry.rows import originals
from crnn.registry.rows.originals import RECIPES

NCNN_FP32 = originals.TORCH.derive(
    "ncnn-fp32",
    "ncnn fp32",
    f"{RECIPES}.ncnn_convert:convert",
    runtime="ncnn",
    suffix=".ncnn",
    requires=("torch", "pnnx"),
    # BatchNorm's statistics are stored, one of two LSTM biases is not.
    parameters=1_491_438,
    max_peak_memory_bytes=170_000_000,
    # Its Winograd convolutions round more than others: 7e-5.
    max_log_prob_difference=1.18e-4,
)
NCNN_FP16 = NCNN_FP32.sibling(
    "ncnn-fp16",
    "ncnn, weights stored in fp16",
    recipe_options={"half_weights": True},
    max_bytes=3_100_000,
    max_log_prob_difference=0.13,
    # The graph of ncnn-fp32: weights are widened when they are loaded.
    watched=False,
)
EXECUTORCH_FP32 = originals.TORCH.derive(
    "executorch-fp32",
    "ExecuTorch fp32, XNNPACK",
    f"{RECIPES}.executorch_convert:convert",
    runtime="executorch",
    suffix=".pte",
    # BatchNorm is stored as scale and shift, both LSTM biases as their sum.
    parameters=1_490_350,
    # The first time step has no product with the hidden state, which is zero.
    macs=233_229_312,
    max_peak_memory_bytes=470_000_000,
    max_log_prob_difference=1e-4,
)
