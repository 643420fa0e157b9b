"""PyTorch in eager mode."""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from crnn.processor import computes_bfloat16
from crnn.runtimes import base, torch_profile
from crnn.runtimes.operators import Operator


def built_with_cuda() -> bool:
    """Whether the installed PyTorch has CUDA kernels; found without importing it."""
    spec = importlib.util.find_spec("torch")
    return bool(spec and spec.origin and (Path(spec.origin).parent / "lib" / "libtorch_cuda.so").exists())


class Runtime(base.Runtime):
    """Runs a ``.pt`` artifact eagerly, without autograd."""

    requires = ("torch",)
    # torchao defines the operators of statically quantized artifacts.
    distributions = ("torch", "torchao")
    anchor = "crnn.runtimes.anchors.torch_anchor"
    profiles = True

    def load(self, path: Path, device: str, *, dtype: str = "float32", channels_last: bool = False) -> None:
        """See the base class.

        Args:
            path: the artifact.
            device: see the base class.
            dtype: data type of weights and activations: ``float32``, ``bfloat16`` or ``float16``.
            channels_last: whether convolutions use the channels-last memory format.

        Raises:
            RuntimeError: CUDA is requested, but there is no CUDA device.
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
        self._torch, self._device = torch, torch.device(device)
        self._dtype = getattr(torch, dtype)
        if self._device.type == "cuda":
            # Float32 means float32: by default convolutions and LSTMs round their factors to TF32, with 10 bits.
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        model = pt_file.load(path).to(self._device, self._dtype)
        if channels_last:
            model = model.to(memory_format=torch.channels_last)
        self._model = torch_crnn.LogProbabilities(model, channels_last).eval()

    @classmethod
    def unsupported(cls, device: str, **options: Any) -> str | None:
        """See the base class."""
        on_cpu = device == "cpu" or (device == "auto" and not base.cuda_present())
        if options.get("dtype") == "bfloat16" and on_cpu and not computes_bfloat16():
            return "PyTorch has no bfloat16 kernels for this processor: they need AVX-512, or bf16 on ARM"
        return None

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class; the copy back to the host waits for the device."""
        torch = self._torch
        with torch.inference_mode():
            inputs = [torch.from_numpy(array).to(self._device, self._dtype) for array in (images, field)]
            return self._model(*inputs).cpu().numpy()

    def profile(self, images: np.ndarray, field: np.ndarray, calls: int) -> list[Operator]:
        """See the base class."""
        from torch.profiler import ProfilerActivity, profile, record_function

        self(images, field)
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as found:
            for _ in range(calls):
                with record_function(torch_profile.CALL):
                    self(images, field)
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder, "trace.json")
            found.export_chrome_trace(str(trace))
            return torch_profile.operators(trace.read_text("utf-8"))

    def describe(self) -> dict[str, str]:
        """See the base class."""
        torch = self._torch
        device = torch.cuda.get_device_name() if self._device.type == "cuda" else "cpu"
        # Without the local part: wheels of one release from two indexes are one engine.
        return {"engine": f"PyTorch {torch.__version__.partition('+')[0]}", "device": device}
