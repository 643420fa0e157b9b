"""TensorFlow's rows: compressed models, quantization-aware training, other ways of execution."""

from typing import Any

from crnn.registry.rows import originals
from crnn.registry.rows.originals import RECIPES, SAME_WEIGHTS

# Compressed Keras models: the original's graph with other weights.
PACKED = originals.TF.derive(
    "tf-original-packed",
    "weights rounded to 11 bits, LZMA",
    f"{RECIPES}.keras_packing:pack",
    max_bytes=2_850_000,
    max_log_prob_difference=0.08,
    watched=False,
)
ZEROS_FULL = originals.TF.derive(
    "tf-magnitude-pruned-full",
    "80 % zeros",
    f"{RECIPES}.magnitude_pruning:prune",
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
TF_CLUSTERED_16 = originals.TF.derive(
    "tf-clustered-16",
    "16 clusters per tensor",
    f"{RECIPES}.keras_clustering:cluster",
    trained=True,
    recipe_options={"clusters": 16},
    max_bytes=800_000,
    max_peak_memory_bytes=1_540_000_000,
    watched=False,
)
TF_CLUSTERED_64 = TF_CLUSTERED_16.sibling(
    "tf-clustered-64", "64 clusters per tensor", recipe_options={"clusters": 64}, max_bytes=1_240_000
)
ZEROS_CLUSTERED = ZEROS_FULL.derive(
    "tf-magnitude-pruned-clustered",
    "80 % zeros, 16 clusters per tensor",
    f"{RECIPES}.keras_clustering:cluster",
    trained=True,
    recipe_options={"clusters": 16, "keep_zeros": True},
    max_bytes=410_000,
    max_cer_difference=0.0023,
    watched=False,
)

# LiteRT, trained with fake quantization.
LITERT: dict[str, Any] = {
    "runtime": "litert",
    "suffix": ".tflite",
    # Only scale and shift of BatchNorm are left.
    "parameters": 1_490_350,
    "max_peak_memory_bytes": 540_000_000,
}
INT8_BYTES = 1_840_000
QAT = originals.TF.derive(
    "tf-int8-qat",
    "int8 convolutions, trained for it (QAT)",
    f"{RECIPES}.quantization_aware:train",
    **LITERT,
    trained=True,
    precision="int8",
    max_bytes=INT8_BYTES,
    # The graph of litert-int8-static.
    watched=False,
)
PCQAT = ZEROS_CLUSTERED.derive(
    "tf-int8-pcqat",
    "pruned, clustered, QAT",
    QAT.recipe,
    **LITERT,
    trained=True,
    precision="int8",
    recipe_options={"preserve": True},
    max_bytes=INT8_BYTES,
    max_cer_difference=0.0025,
    watched=False,
)
# TensorFlow's original called in other ways.
XLA = originals.TF.derive(
    "tf-original-xla",
    "XLA",
    SAME_WEIGHTS,
    runtime_options={"mode": "xla"},
    max_log_prob_difference=1e-4,
    max_peak_memory_bytes=1_345_000_000,
)
PREDICT = originals.TF.derive(
    "tf-original-predict",
    "Keras predict",
    SAME_WEIGHTS,
    runtime_options={"mode": "predict"},
    max_log_prob_difference=1e-4,
)
EAGER = PREDICT.sibling(
    "tf-original-eager", "eager", runtime_options={"mode": "eager"}, max_peak_memory_bytes=1_480_000_000
)
