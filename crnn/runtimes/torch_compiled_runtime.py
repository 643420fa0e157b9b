"""PyTorch, compiled by inductor: one graph per batch size, compiled in the first call at it."""

from pathlib import Path
from typing import Any

from crnn.runtimes import base, torch_runtime

# Every size up to 256; PyTorch's default limit is eight.
_MOST_BATCH_SIZES = 256


def compiled(torch: Any, model: Any) -> Any:
    """A model compiled by inductor, with weights frozen into one graph per batch size.

    The whole model is one graph. By default dynamo breaks it at an LSTM, compiles block by block, and counts each of
    them towards the limit of recompilations, beyond which it calls them eagerly and only logs that. A whole graph that
    cannot be compiled, or exceeds the limit, is an error.
    """
    torch._dynamo.config.allow_rnn = True
    torch._dynamo.config.recompile_limit = _MOST_BATCH_SIZES
    torch._inductor.config.freezing = True
    return torch.compile(model, dynamic=False, fullgraph=True)


class Runtime(torch_runtime.Runtime):
    """Runs a ``.pt`` artifact by ``torch.compile``, with weights frozen into the graph.

    Batch sizes are static: with a dynamic one inductor's own convolutions return another memory
    format than it expects (PyTorch 2.13).
    """

    requires_compiler = True
    # Of fused kernels the profiler tells neither kind nor precision.
    profiles, profile = False, base.Runtime.profile

    def load(self, path: Path, device: str, *, dtype: str = "float32", channels_last: bool = False) -> None:
        """See the eager engine; the options are the same."""
        super().load(path, device, dtype=dtype, channels_last=channels_last)
        self._model = compiled(self._torch, self._model)

    def describe(self) -> dict[str, str]:
        """See the base class."""
        eager = super().describe()
        return eager | {"engine": f"{eager['engine']} inductor"}
