"""A runtime that does nothing: what the harness itself costs is measured with it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from crnn.corpus.lines import TIME_STEPS
from crnn.runtimes import base


class Runtime(base.Runtime):
    """Returns the same even distribution for every line."""

    def load(self, path: Path, device: str, **options: Any) -> None:
        """Reads nothing.

        Args:
            path: not read.
            device: not used.
            options: ``classes``, the size of the last axis.
        """
        self._classes = options.get("classes", 46)
        self._answers: dict[int, np.ndarray] = {}

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """One array a batch size, made once."""
        size = len(images)
        if size not in self._answers:
            even = np.float32(-np.log(self._classes))
            self._answers[size] = np.full((size, TIME_STEPS, self._classes), even)
        return self._answers[size]

    def parameters(self) -> Iterable[np.ndarray]:
        """None."""
        return ()

    def multiply_adds(self) -> int:
        """None."""
        return 0

    def describe(self) -> dict[str, str | int]:
        """One thread on the CPU."""
        return {"engine": "no-op", "device": "cpu", "threads": 1}
