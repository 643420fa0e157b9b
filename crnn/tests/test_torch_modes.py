"""Ways to execute a PyTorch artifact: each answers as eager float32 does, as nearly as it promises."""

import numpy as np
import pytest
import torch

from crnn.formats import pt_file, torch_qdq
from crnn.runtimes import base
from crnn.runtimes.process import WorkerProcess
from crnn.runtimes.torch_compiled_runtime import Runtime as CompiledRuntime
from crnn.runtimes.torch_runtime import Runtime
from crnn.tests.test_models import SMALL, inputs, torch_answers, torch_model

COUNT = 5


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """The small model's file."""
    path = tmp_path_factory.mktemp("modes") / "model.pt"
    pt_file.save(torch_model(SMALL), path)
    return path


@pytest.fixture(scope="module")
def expected():
    """What the small model answers, by eager float32."""
    return torch_answers(torch_model(SMALL), inputs(count=COUNT))


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"channels_last": True}, 1e-5),
        ({"dtype": "bfloat16"}, 0.2),
        ({"dtype": "bfloat16", "channels_last": True}, 0.2),
    ],
)
def test_eager_modes(options, tolerance, artifact, expected):
    """Another memory format changes nothing, half precision little; the answer is float32 all the same."""
    runtime = Runtime()
    runtime.load(artifact, "cpu", **options)
    answers = runtime(*inputs(count=COUNT))

    assert answers.dtype == np.float32
    assert np.abs(answers - expected).max() < tolerance


def test_half_precision_is_computed_in_half_precision(artifact, expected):
    """Where bfloat16 is asked for, rounding shows."""
    runtime = Runtime()
    runtime.load(artifact, "cpu", dtype="bfloat16")

    assert np.abs(runtime(*inputs(count=COUNT)) - expected).max() > 1e-4


def quantized(path):
    """The small model with convolutions in int8, scales made up; what it answers eagerly."""
    model = torch_model(SMALL)
    scales = [
        torch_qdq.Scales((block.conv.weight.detach() / 0.01).round().clamp(-128, 127).char(),
                         torch.full((len(block.conv.weight),), 0.01), 0.05, 100)
        for block in model.blocks
    ]  # fmt: skip
    torch_qdq.save(torch_qdq.quantized(model, scales), path)
    return torch_answers(pt_file.load(path), inputs(count=COUNT))


def test_compiled_int8(tmp_path, monkeypatch):
    """Compiled in a process of its own, int8 convolutions answer as their pattern does eagerly.

    That compiled floats answer as eager ones is asserted of ``torch-compiled`` whenever it is measured.
    """
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    expected = quantized(tmp_path / "int8.pt")
    rng = np.random.default_rng(1)
    images, kinds = rng.integers(0, 256, (COUNT, 32, 400), np.uint8), rng.integers(0, 2, COUNT).astype(np.uint8)
    with WorkerProcess("compiled") as worker:
        said = worker.ask("load", "torch_compiled", str(tmp_path / "int8.pt"), "cpu", {"channels_last": True}, 1)
        worker.ask("keep", images, kinds)
        answers, _ = worker.ask("judge", COUNT)

    assert (said["engine"].split()[-1], said["threads"]) == ("inductor", 1)
    assert np.abs(answers - expected).max() < 0.05


def test_without_a_compiler_it_is_missing(monkeypatch):
    """Where no C++ compiler is found, that is said before anything is started."""
    monkeypatch.setenv("CXX", "no-such-compiler")

    assert base.missing("torch_compiled") == ["a C++ compiler (g++, or $CXX)"]
    assert (base.missing("torch"), CompiledRuntime.requires_compiler) == ([], True)


def test_further_modules_are_asked_for():
    """What an entry of the registry needs beside its engine is looked for too."""
    assert base.missing("torch", ("numpy", "no_such_module")) == ["no_such_module"]
