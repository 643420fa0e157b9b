"""An engine that does nothing, for measuring the cost of the harness."""

from pathlib import Path

import numpy as np

from crnn.interface import BUILT_IN
from crnn.runtimes import base


class Runtime(base.Runtime):
    """Returns the same uniform distribution for every line."""

    requires = ()
    distributions = ()

    def load(self, path: Path, device: str, *, classes: int = 46) -> None:
        """Load nothing.

        Args:
            path: ignored.
            device: ignored.
            classes: size of the last axis of the outputs.
        """
        self._classes = classes
        self._outputs: dict[int, np.ndarray] = {}

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Return one array per batch size, created once."""
        size = len(images)
        if size not in self._outputs:
            uniform = np.float32(-np.log(self._classes))
            self._outputs[size] = np.full((size, BUILT_IN.time_steps, self._classes), uniform)
        return self._outputs[size]

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": "no-op", "device": "cpu"}
