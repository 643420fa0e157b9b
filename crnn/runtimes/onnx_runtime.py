"""ONNX Runtime."""

from pathlib import Path

import numpy as np

from crnn.runtimes import base

_PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


class Runtime(base.Runtime):
    """Runs an ``.onnx`` artifact with inputs ``images`` and ``field``."""

    requires = ("onnx", "onnxruntime")
    distributions = ("onnxruntime", "onnxruntime-gpu")
    anchor = "crnn.runtimes.anchors.onnx_anchor"

    def load(self, path: Path, device: str) -> None:
        """See the base class; no options."""
        import onnxruntime

        if device == "auto":
            offered = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
            device = "cuda" if offered and base.cuda_present() else "cpu"
        self._onnxruntime = onnxruntime
        settings = onnxruntime.SessionOptions()
        if self.threads:
            settings.intra_op_num_threads = settings.inter_op_num_threads = self.threads
        self._session = onnxruntime.InferenceSession(str(path), settings, providers=_PROVIDERS[device])
        # An available provider may still fail to start: only the session tells what it runs on.
        self._provider = self._session.get_providers()[0]
        if device == "cuda" and self._provider != "CUDAExecutionProvider":
            raise RuntimeError("--device cuda: ONNX Runtime cannot start its CUDA provider")

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        return self._session.run(None, {"images": images, "field": field})[0]

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"ONNX Runtime {self._onnxruntime.__version__}", "device": self._provider}
