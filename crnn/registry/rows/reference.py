"""Recognizers that nobody here made, as references. They are measured where they are installed, and in no baseline."""

from crnn.registry.rows.originals import RECIPES
from crnn.registry.variant import Thresholds, Variant

TESSERACT = Variant(
    "tesseract",
    "as installed, language of the corpus",
    f"{RECIPES}.tesseract:adopt",
    framework="tesseract",
    runtime="tesseract",
    suffix=".traineddata",
    thresholds=Thresholds(parameters=None, macs=None, max_bytes=None, max_peak_memory_bytes=None, max_cer=0.418),
    watched=False,
)
