"""PyTorch, eager."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from crnn.runtimes import base


class Runtime(base.Runtime):
    """Runs a ``.pt`` artifact module by module, without autograd."""

    requires = ("torch",)
    anchor = "crnn.runtimes.anchors.torch_anchor"

    def load(self, path: Path, device: str, **options: Any) -> None:
        """See the base class; takes no options."""
        import torch

        from crnn.models import torch_crnn

        if self.threads:
            torch.set_num_threads(self.threads)
        if device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("--device cuda: PyTorch finds no CUDA device")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._torch, self._device = torch, torch.device(device)
        self._model = torch_crnn.LogProbabilities(torch_crnn.load(path)).to(self._device).eval()

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class; the copy back to the host waits for the device."""
        torch = self._torch
        with torch.inference_mode():
            log_probs = self._model(torch.from_numpy(images).to(self._device), torch.from_numpy(field).to(self._device))
            return log_probs.cpu().numpy()

    def parameters(self) -> Iterable[np.ndarray]:
        """Trainable parameters; BatchNorm statistics are buffers in PyTorch."""
        return (parameter.detach().cpu().numpy() for parameter in self._model.parameters())

    def multiply_adds(self) -> int:
        """See the base class."""
        from crnn.models import cost

        return cost.of_torch(copy.deepcopy(self._model.model).cpu())

    def describe(self) -> dict[str, str | int]:
        """See the base class."""
        torch = self._torch
        device = torch.cuda.get_device_name() if self._device.type == "cuda" else "cpu"
        return {"engine": f"PyTorch {torch.__version__}", "device": device, "threads": torch.get_num_threads()}
