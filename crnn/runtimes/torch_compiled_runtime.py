"""PyTorch, compiled by inductor: one graph a batch size, compiled in the first call at it."""

from pathlib import Path
from typing import Any

from crnn.runtimes import torch_runtime

# A sweep of batch sizes, and the last, smaller batch of a split; eight is PyTorch's limit.
_MOST_BATCH_SIZES = 64


class Runtime(torch_runtime.Runtime):
    """``torch.compile``, weights frozen into the graph.

    Batch sizes are not left open: with an open one inductor's own convolutions answer in
    another memory format than it reckons with (PyTorch 2.13).
    """

    requires_compiler = True

    def load(self, path: Path, device: str, **options: Any) -> None:
        """See the base class; the same options as eager."""
        super().load(path, device, **options)
        torch = self._torch
        torch._dynamo.config.recompile_limit = _MOST_BATCH_SIZES
        torch._inductor.config.freezing = True
        self._model = torch.compile(self._model, dynamic=False)

    def describe(self) -> dict[str, str | int]:
        """See the base class."""
        eager = super().describe()
        return eager | {"engine": f"{eager['engine']} inductor"}
