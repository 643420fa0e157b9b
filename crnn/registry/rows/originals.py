"""The originals: what every other row is derived from."""

from crnn.registry.variant import Thresholds, Variant

RECIPES = "crnn.optimize"
SAME_WEIGHTS = f"{RECIPES}.quantization:same_weights"
"""The recipe of rows that execute their parent's file in another way."""

TORCH = Variant(
    "torch-original",
    "original",
    f"{RECIPES}.original:train_torch",
    framework="torch",
    runtime="torch",
    suffix=".pt",
    thresholds=Thresholds(
        parameters=1_492_398,
        macs=233_753_600,
        max_bytes=6_200_000,
        max_peak_memory_bytes=905_000_000,
        max_cer=0.0081,
    ),
    trained=True,
)
TF = Variant(
    "tf-original",
    "original (tf.function)",
    f"{RECIPES}.original:train_keras",
    framework="keras",
    runtime="tensorflow",
    suffix=".keras",
    thresholds=Thresholds(
        parameters=1_491_438,
        macs=233_753_600,
        max_bytes=6_200_000,
        max_peak_memory_bytes=1_550_000_000,
        max_cer=0.0089,
    ),
    trained=True,
)
