"""PyTorch on CUDA, and nowhere else: eager, or as one CUDA graph per batch size."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from crnn.runtimes import base, cuda, torch_runtime

# PyTorch's own recipe for capturing: lazily initialized libraries are set up before it, on another stream.
_WARM_UP_CALLS = 3


class Captured:
    """A CUDA graph of one batch size. It reads and writes fixed buffers, so each call copies in and out."""

    def __init__(self, inputs: tuple[Any, ...], outputs: Any, replay: Callable[[], object]) -> None:
        """Keep a graph.

        Args:
            inputs: its input tensors: images (B, H, W) and field (B, T, 2).
            outputs: its output tensor (B, T, C), float32.
            replay: starts it.
        """
        self._inputs, self._outputs, self._replay = inputs, outputs, replay

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See ``base.Runtime``; the copy back to the host waits for the device."""
        import torch

        # Copied from pageable memory: a pinned buffer would be one more copy on the host, and was not tried.
        for buffer, array in zip(self._inputs, (images, field), strict=True):
            buffer.copy_(torch.from_numpy(array))
        self._replay()
        return self._outputs.cpu().numpy()


class Runtime(torch_runtime.Runtime):
    """Runs a ``.pt`` artifact on CUDA. Without a CUDA device it does not load."""

    # The profiler of the eager engine is that of the CPU.
    profiles, profile = False, base.Runtime.profile

    def load(
        self, path: Path, device: str, *, dtype: str = "float32", channels_last: bool = False, graphs: bool = False
    ) -> None:
        """See the eager engine.

        Args:
            path: the artifact.
            device: see the base class; ``cpu`` is refused.
            dtype: see the eager engine. Log softmax is computed in float32 in any case.
            channels_last: see the eager engine.
            graphs: whether calls replay a CUDA graph, captured in the first call at a batch size.

        Raises:
            RuntimeError: there is no CUDA device, or ``device`` excludes it.
        """
        if reason := self.unsupported(device):
            raise RuntimeError(reason)
        super().load(path, "cuda", dtype=dtype, channels_last=channels_last)
        self._uses_graphs = graphs
        self._captured: dict[int, Captured] = {}

    @classmethod
    def unsupported(cls, device: str, **options: Any) -> str | None:
        """See the base class."""
        if reason := cuda.refusal(device):
            return reason
        return None if torch_runtime.built_with_cuda() else "this PyTorch is built without CUDA"

    def _capture(self, images: np.ndarray, field: np.ndarray) -> Captured:
        """Capture the model at a batch size."""
        torch = self._torch
        inputs = tuple(torch.from_numpy(array).to(self._device, self._dtype) for array in (images, field))
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UP_CALLS):
                self._model(*inputs)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._model(*inputs)
        return Captured(inputs, outputs, graph.replay)

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        if not self._uses_graphs:
            return super().__call__(images, field)
        with self._torch.inference_mode():
            if len(images) not in self._captured:
                self._captured[len(images)] = self._capture(images, field)
            return self._captured[len(images)](images, field)

    def describe(self) -> dict[str, str]:
        """See the base class."""
        eager = super().describe()
        return eager | {"engine": f"{eager['engine']} CUDA graph"} if self._uses_graphs else eager
