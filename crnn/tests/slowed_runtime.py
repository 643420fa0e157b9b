"""An engine that is slower than it should be, which the gate has to detect: by a busy wait, or for a real reason."""

import os
import time
from pathlib import Path

import numpy as np

from crnn.runtimes import base


def _without_onednn(engine):
    """Framework's own kernels in place of oneDNN's."""
    if engine == "tensorflow":
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    else:
        import torch

        torch.backends.mkldnn.enabled = False


def _without_graph_optimization(_):
    """ONNX Runtime runs the graph node by node, as it is in the file."""
    import onnxruntime

    class Plain(onnxruntime.SessionOptions):
        def __init__(self):
            super().__init__()
            self.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

    onnxruntime.SessionOptions = Plain


def _without_xnnpack(_):
    """LiteRT's own kernels in place of XNNPACK's."""
    from ai_edge_litert import interpreter

    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    original = interpreter.Interpreter

    def make(*arguments, **options):
        return original(*arguments, **options, experimental_op_resolver_type=plain)

    interpreter.Interpreter = make


def _without_freezing(_):
    """Inductor reads the weights as they lie, and folds nothing."""
    import torch._inductor.config

    torch._inductor.config.freezing = False


def _without_avx512(_):
    """Leave out the AVX-512 kernels of oneDNN; before the engine is imported."""
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"


REASONS = {
    "no AVX-512": _without_avx512,
    "no oneDNN": _without_onednn,
    "no graph optimization": _without_graph_optimization,
    "no XNNPACK": _without_xnnpack,
    "no freezing": _without_freezing,
    "one thread": lambda _: None,
}


class Runtime(base.Runtime):
    """Options: ``engine``, the engine to run, and its ``options``; one of the two following.

    ``share``: a busy wait in each call, as a fraction of it, or the path of a file that holds this fraction as a
    float64, which may change between calls; ``reason``: a key of ``REASONS``.
    """

    requires = ()
    distributions = ()

    def load(self, path: Path, device, *, engine, options=None, share=0.0, reason=None):
        if reason:
            REASONS[reason](engine)
        self._engine = base.runtime_class(engine)()
        self._share = np.memmap(share, float, "r", shape=()) if isinstance(share, str) else share
        self._engine.threads = 1 if reason == "one thread" else self.threads
        self._engine.load(path, device, **(options or {}))

    def __call__(self, images, field):
        start = time.perf_counter()
        output = self._engine(images, field)
        until = start + (1 + float(self._share)) * (time.perf_counter() - start)
        while time.perf_counter() < until:
            pass
        return output

    def describe(self):
        return self._engine.describe()
