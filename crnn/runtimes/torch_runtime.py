"""PyTorch, eager."""

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
        """See the base class.

        The options are ``dtype``, in which weights and activations are held ("float32",
        "bfloat16", "float16"), and ``channels_last``, the memory format of the convolutions.
        """
        import torch

        from crnn.formats import pt_file
        from crnn.models import torch_crnn

        if self.threads:
            torch.set_num_threads(self.threads)
        if device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("--device cuda: PyTorch finds no CUDA device")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._torch, self._device, self._path = torch, torch.device(device), path
        self._dtype = getattr(torch, options.get("dtype", "float32"))
        channels_last = options.get("channels_last", False)
        model = pt_file.load(path).to(self._device, self._dtype)
        if channels_last:
            model = model.to(memory_format=torch.channels_last)
        self._config = model.config
        self._model = torch_crnn.LogProbabilities(model, channels_last).eval()

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class; the copy back to the host waits for the device."""
        torch = self._torch
        with torch.inference_mode():
            inputs = [torch.from_numpy(array).to(self._device, self._dtype) for array in (images, field)]
            return self._model(*inputs).cpu().numpy()

    def parameters(self) -> Iterable[np.ndarray]:
        """Weights as the artifact stores them; BatchNorm statistics are buffers in PyTorch."""
        from crnn.formats import pt_file

        for tensor in pt_file.parameters(self._path):
            yield (tensor.float() if tensor.is_floating_point() else tensor).numpy()

    def multiply_adds(self) -> int:
        """See the base class."""
        from crnn.formats import macs

        return macs.of_config(self._config)

    def describe(self) -> dict[str, str | int]:
        """See the base class."""
        torch = self._torch
        device = torch.cuda.get_device_name() if self._device.type == "cuda" else "cpu"
        return {"engine": f"PyTorch {torch.__version__}", "device": device, "threads": torch.get_num_threads()}
