"""PyTorch programs of a user: ``torch.export`` packages and TorchScript."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crnn.runtimes import base, torch_compiled_runtime


class Runtime(base.Runtime):
    """Runs a ``.pt2`` or TorchScript artifact; inductor compiles the first only."""

    requires = ("torch",)
    distributions = ("torch",)
    anchor = "crnn.runtimes.anchors.torch_anchor"

    def load(
        self,
        path: Path,
        device: str,
        *,
        interface: Mapping[str, Any],
        channels_last: bool = False,
        compiled: bool = False,
    ) -> None:
        """See the base class.

        Args:
            path: the artifact.
            device: see the base class.
            interface: see ``base.Runtime.describes``.
            channels_last: whether convolutions use the channels-last memory format.
            compiled: whether ``torch.compile`` makes one graph per batch size.

        Raises:
            RuntimeError: CUDA is requested.
            ValueError: the file cannot be read.
        """
        if device == "cuda":
            raise RuntimeError("--device cuda: a user's PyTorch program is run on the CPU")
        import torch

        from crnn.formats import program_file

        self.describes(interface)
        if self.threads:
            torch.set_num_threads(self.threads)
        self._torch, self._channels_last, self._compiled = torch, channels_last, compiled
        self._names = [tensor.name for tensor in program_file.ends(path).inputs]
        model = program_file.module(path)
        if channels_last:
            model = model.to(memory_format=torch.channels_last)
        self._model = torch_compiled_runtime.compiled(torch, model) if compiled else model

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        torch, inputs = self._torch, self.interface.inputs(images, field)
        with torch.inference_mode():
            tensors = [torch.from_numpy(inputs[name]) for name in self._names]
            if self._channels_last:
                tensors = [one.to(memory_format=torch.channels_last) if one.dim() == 4 else one for one in tensors]
            output = self._model(*tensors)
            # A program of torch.export may return a tuple of one.
            found = output if isinstance(output, torch.Tensor) else output[0]
            return self.interface.log_probs(found.numpy())

    def describe(self) -> dict[str, str]:
        """See the base class."""
        version = self._torch.__version__.partition("+")[0]
        return {"engine": f"PyTorch {version}{' inductor' if self._compiled else ''}", "device": "cpu"}
