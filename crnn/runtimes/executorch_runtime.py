"""ExecuTorch with XNNPACK on the CPU."""

import importlib.metadata
from pathlib import Path

import numpy as np

from crnn.processor import usable_cores
from crnn.runtimes import base


class Runtime(base.Runtime):
    """Runs a ``.pte`` artifact. A batch above the largest that the program was exported for is split."""

    requires = ("torch", "executorch")
    distributions = ("executorch", "torch")

    def load(self, path: Path, device: str) -> None:
        """See the base class; no options.

        Raises:
            RuntimeError: CUDA is requested.
            ValueError: the file is not an ExecuTorch program, is truncated, or has operators or a backend that
                this ExecuTorch lacks.
        """
        if device == "cuda":
            raise RuntimeError("--device cuda: ExecuTorch runs on the CPU here")
        # The extension needs PyTorch's libraries in memory.
        import torch

        # What `executorch.runtime` calls. That module would import the exporter too, which takes seconds.
        from executorch.extension.pybindings import _C

        from crnn.formats import pte_file

        self._tensor = torch.from_numpy
        _C._unsafe_reset_threadpool(self.threads or usable_cores())
        pte_file.check(path)
        try:
            # A method refers to its program's memory.
            self._program = _C._load_program(str(path), program_verification=_C.Verification.InternalConsistency)
            self._method = self._program.load_method(pte_file.METHOD)
            self._largest = self._method.method_meta().input_tensor_meta(0).sizes()[0]
        except RuntimeError as error:
            message = f"{path} cannot be loaded by ExecuTorch {self._version()}: {error}; more is on standard error"
            raise ValueError(message) from None

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        parts = []
        for start in range(0, len(images), self._largest):
            lines = slice(start, start + self._largest)
            # Outputs are copied: their memory is the program's.
            parts.append(self._method.call((self._tensor(images[lines]), self._tensor(field[lines])))[0].numpy())
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @staticmethod
    def _version() -> str:
        return importlib.metadata.version("executorch")

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"ExecuTorch {self._version()}", "device": "cpu"}
