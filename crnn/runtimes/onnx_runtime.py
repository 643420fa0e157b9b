"""ONNX Runtime."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from crnn.runtimes import base

_PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


class Runtime(base.Runtime):
    """Runs a ``.onnx`` artifact with inputs ``images`` and ``field``."""

    requires = ("onnx", "onnxruntime")

    def load(self, path: Path, device: str, **options: Any) -> None:
        """See the base class; takes no options."""
        import onnxruntime

        from crnn.models import cost

        if device == "auto":
            offered = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
            device = "cuda" if offered and base.cuda_present() else "cpu"
        self._onnxruntime, self._path = onnxruntime, path
        self._session = onnxruntime.InferenceSession(str(path), providers=_PROVIDERS[device])
        # What is offered need not be there: only the session itself tells what it runs on.
        self._provider = self._session.get_providers()[0]
        if device == "cuda" and self._provider != "CUDAExecutionProvider":
            raise RuntimeError("--device cuda: ONNX Runtime cannot start its CUDA provider")
        self._multiply_adds = cost.of_onnx(path)

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        return self._session.run(None, {"images": images, "field": field})[0]

    def parameters(self) -> Iterable[np.ndarray]:
        """The floating-point tensors that the graph stores."""
        from crnn.models import cost

        return cost.onnx_parameters(self._path)

    def multiply_adds(self) -> int:
        """See the base class."""
        return self._multiply_adds

    def describe(self) -> dict[str, str | int]:
        """See the base class; by default a session takes a thread a core."""
        return {
            "engine": f"ONNX Runtime {self._onnxruntime.__version__}",
            "device": self._provider,
            "threads": os.cpu_count() or 1,
        }
