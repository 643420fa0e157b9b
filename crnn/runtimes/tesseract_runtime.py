"""Tesseract, through its library (``tesserocr``): a recognizer that nobody here made, as a reference."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from crnn.formats import traineddata_file
from crnn.runtimes import base


class Runtime(base.TextRuntime):
    """Reads lines with a ``.traineddata`` artifact, one after the other.

    It is told that each image is one line, and uses no dictionary beyond what the file has.
    """

    # A system without it has no row of it: it is no part of a machine's fingerprint.
    requires = distributions = ()

    def load(self, path: Path, device: str) -> None:
        """See the base class; ``device`` says nothing, there is only the CPU."""
        from tesserocr import OEM, PSM, PyTessBaseAPI, tesseract_version

        self._version = tesseract_version().split()[1]
        self._api = PyTessBaseAPI(path=str(path.parent), lang=path.stem, psm=PSM.SINGLE_LINE, oem=OEM.LSTM_ONLY)

    @classmethod
    def unsupported(cls, device: str, **options: Any) -> str | None:
        """See the base class."""
        if importlib.util.find_spec("tesserocr") is None:
            return "Tesseract is not installed: pip install tesserocr"
        if not traineddata_file.installed("*"):
            return "Tesseract has no language: apt install tesseract-ocr-rus, or set TESSDATA_PREFIX"
        return None

    def read(self, images: np.ndarray) -> list[str]:
        """See the base class."""
        from PIL import Image

        texts = []
        for pixels in np.rint(images * 255).astype(np.uint8):
            self._api.SetImage(Image.fromarray(pixels))
            texts.append(self._api.GetUTF8Text().strip())
        return texts

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"Tesseract {self._version}", "device": "cpu"}
