"""Execution modes of PyTorch artifacts: outputs equal those of eager float32 within each mode's tolerance."""

import numpy as np
import pytest
import torch

from crnn.formats import pt_file, torch_qdq
from crnn.models.torch_crnn import LogProbabilities
from crnn.runtimes import base
from crnn.runtimes.process import WorkerProcess
from crnn.runtimes.torch_compiled_runtime import Runtime as CompiledRuntime
from crnn.runtimes.torch_compiled_runtime import compiled
from crnn.runtimes.torch_runtime import Runtime
from crnn.tests.test_models import SHALLOW, SMALL, inputs, torch_model, torch_outputs

COUNT = 5
UNSUPPORTED = Runtime.unsupported("cpu", dtype="bfloat16")
needs_bfloat16 = pytest.mark.skipif(UNSUPPORTED is not None, reason=UNSUPPORTED or "bfloat16 is supported")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """The small model's file."""
    path = tmp_path_factory.mktemp("modes") / "model.pt"
    pt_file.save(torch_model(SMALL), path)
    return path


@pytest.fixture(scope="module")
def expected():
    """The small model's outputs in eager float32."""
    return torch_outputs(torch_model(SMALL), inputs(count=COUNT))


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"channels_last": True}, 1e-5),
        pytest.param({"dtype": "bfloat16"}, 0.2, marks=needs_bfloat16),
        pytest.param({"dtype": "bfloat16", "channels_last": True}, 0.2, marks=needs_bfloat16),
    ],
)
def test_eager_modes(options, tolerance, artifact, expected):
    """Another memory format changes nothing and half precision little; outputs are float32 in every mode."""
    runtime = Runtime()
    runtime.load(artifact, "cpu", **options)
    outputs = runtime(*inputs(count=COUNT))

    assert outputs.dtype == np.float32
    assert np.abs(outputs - expected).max() < tolerance


@needs_bfloat16
def test_half_precision_is_computed_in_half_precision(artifact, expected):
    """With bfloat16 the rounding error is visible."""
    runtime = Runtime()
    runtime.load(artifact, "cpu", dtype="bfloat16")

    assert np.abs(runtime(*inputs(count=COUNT)) - expected).max() > 1e-4


def quantized(path):
    """Write a small model with int8 convolutions and made-up scales; return its eager outputs."""
    model = torch_model(SHALLOW)
    scales = [
        torch_qdq.Scales((block.conv.weight.detach() / 0.01).round().clamp(-128, 127).char(),
                         torch.full((len(block.conv.weight),), 0.01), 0.05, 100)
        for block in model.blocks
    ]  # fmt: skip
    torch_qdq.save(torch_qdq.quantized(model, scales), path)
    return torch_outputs(pt_file.load(path), inputs(count=COUNT))


def test_compiled_int8(tmp_path):
    """Int8 convolutions compiled in a separate process have the outputs of their eager pattern.

    For floats, every measurement of ``torch-compiled`` asserts the same.
    """
    expected = quantized(tmp_path / "int8.pt")
    rng = np.random.default_rng(1)
    images, kinds = rng.integers(0, 256, (COUNT, 32, 400), np.uint8), rng.integers(0, 2, COUNT).astype(np.uint8)
    with WorkerProcess("compiled", environment={"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}) as worker:
        loaded = worker.ask("load", "torch_compiled", str(tmp_path / "int8.pt"), "cpu", {"channels_last": True}, 1)
        worker.ask("keep", images, kinds)
        [outputs], *_ = worker.ask("outputs", COUNT)
        threads = worker.ask("threads", COUNT)

    assert loaded["engine"].split()[-1] == "inductor"
    assert threads in (1, None)  # None if the system does not report it
    assert np.abs(outputs - expected).max() < 0.05


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_batch_size_is_compiled_as_one_whole_graph():
    """Neither the LSTMs nor a further size leave a part of the model to eager PyTorch."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    restored = (
        torch._dynamo.config.patch(allow_rnn=False, recompile_limit=8),
        torch._inductor.config.patch(freezing=False),
    )
    with restored[0], restored[1], torch.inference_mode():
        model = compiled(torch, LogProbabilities(torch_model(SHALLOW)).eval())
        for size in (1, 2, 3):
            model(*map(torch.from_numpy, inputs(count=size)))

    assert (counters["stats"]["unique_graphs"], dict(counters["graph_break"])) == (3, {})


def test_without_a_compiler_it_is_missing(monkeypatch):
    """A missing C++ compiler is reported before any process starts."""
    monkeypatch.setenv("CXX", "no-such-compiler")

    assert base.missing("torch_compiled") == ["a C++ compiler (g++, or $CXX)"]
    assert (base.missing("torch"), CompiledRuntime.requires_compiler) == ([], True)


def test_further_modules():
    """Modules that a row requires besides its engine's are checked too."""
    assert base.missing("torch", ("numpy", "no_such_module")) == ["no_such_module"]
