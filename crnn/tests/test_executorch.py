"""ExecuTorch: conversion, outputs, counts, and files that it must not see.

Unrolled LSTMs take minutes to convert, so here they are compared in PyTorch; what is converted has none.
"""

from dataclasses import replace

import numpy as np
import pytest

from crnn.formats import pte_file
from crnn.formats.counts import count, macs_of_config
from crnn.optimize import executorch_convert
from crnn.optimize.recipe import Build
from crnn.runtimes.base import cuda_present
from crnn.runtimes.executorch_runtime import Runtime
from crnn.runtimes.process import WorkerProcess
from crnn.tests.test_models import SMALL, inputs, torch_model, torch_outputs

CONFIG = replace(SMALL, lstm_units=())
COUNT, LARGEST = 8, 3
# The exporter and its verifier warn about their own code.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A small model without LSTMs as a program for batches up to 3."""
    from crnn.formats import pt_file

    folder = tmp_path_factory.mktemp("executorch")
    pt_file.save(torch_model(CONFIG), folder / "model.pt")
    build = Build("small", folder / "model.pt", folder / "small.pte", None, folder / "none")
    executorch_convert.convert(build, largest_batch=LARGEST)
    return build.target


@pytest.fixture(scope="module")
def runtime(artifact):
    """The engine with the small model."""
    runtime = Runtime()
    runtime.threads = 1
    runtime.load(artifact, "cpu")
    return runtime


class TestOutputs:
    @pytest.mark.parametrize("size", [1, 2, LARGEST, LARGEST + 1, COUNT])
    def test_equal_the_models(self, runtime, size):
        """Outputs are float32 (B, 50, C) and equal PyTorch's; batches above the largest are split."""
        images, field = inputs(count=COUNT)
        outputs = runtime(images[:size], field[:size])

        assert (outputs.shape, outputs.dtype) == ((size, 50, CONFIG.classes), np.float32)
        assert np.abs(outputs - torch_outputs(torch_model(CONFIG), (images, field))[:size]).max() < 1e-4

    def test_calls_do_not_share_their_outputs(self, runtime):
        """The outputs of a call are kept when the next one computes."""
        images, field = inputs(count=2)
        first = runtime(images[:1], field[:1])
        kept = first.copy()
        runtime(images[1:], field[1:])

        assert np.array_equal(first, kept)

    def test_unrolled_lstms(self):
        """Unrolled LSTMs have the outputs of PyTorch's."""
        model = torch_model(SMALL)
        expected = torch_outputs(model, inputs())
        executorch_convert.unroll(model)

        assert np.abs(torch_outputs(model, inputs()) - expected).max() < 1e-5

    @pytest.mark.parametrize("threads", [1, 2])
    def test_threads(self, artifact, threads):
        """No more threads compute than are asked for."""
        rng = np.random.default_rng(1)
        with WorkerProcess("executorch") as worker:
            said = worker.ask("load", "executorch", str(artifact), "cpu", {}, threads)
            worker.ask("keep", rng.integers(0, 256, (LARGEST, 32, 400), np.uint8), np.zeros(LARGEST, np.uint8))
            computed = worker.ask("threads", 64)

        assert said["engine"].startswith("ExecuTorch 1.")
        assert computed is None or computed <= threads

    @pytest.mark.skipif(cuda_present(), reason="this machine has a CUDA device")
    def test_cuda_is_refused(self, artifact):
        """A request for CUDA is an error."""
        with pytest.raises(RuntimeError, match="--device cuda: ExecuTorch runs on the CPU"):
            Runtime().load(artifact, "cuda")


class TestFiles:
    def test_counts(self, artifact):
        """MACs and parameters are the model's: BatchNorm is stored as scale and shift."""
        counts = count(artifact, "pte")

        assert counts.parameters_stored == sum(p.numel() for p in torch_model(CONFIG).parameters())
        assert counts.macs_per_line == macs_of_config(CONFIG)

    @pytest.mark.parametrize(("size", "message"), [(0, "is not an"), (20, "is not an"), (1000, "is truncated: it has")])
    def test_truncated(self, artifact, tmp_path, size, message):
        """A truncated file is an error that names it."""
        (tmp_path / "short.pte").write_bytes(artifact.read_bytes()[:size])

        with pytest.raises(ValueError, match=rf"short\.pte {message}"):
            Runtime().load(tmp_path / "short.pte", "cpu")
        with pytest.raises(ValueError, match=rf"short\.pte {message}"):
            list(pte_file.parameters(tmp_path / "short.pte"))

    def test_foreign(self, artifact):
        """A file of another format is an error that names it."""
        with pytest.raises(ValueError, match=r"model\.pt is not an ExecuTorch program"):
            Runtime().load(artifact.with_name("model.pt"), "cpu")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"aten::_log_softmax", b"aten::_lag_softmax"),
            (b"XnnpackBackend", b"UnknownBackend"),
            (b"forward", b"another"),
        ],
        ids=["operator", "backend", "method"],
    )
    def test_a_program_that_does_not_fit(self, artifact, tmp_path, old, new):
        """An unknown operator, backend or method is an error that names the file, not a crash."""
        content = artifact.read_bytes()
        assert old in content
        (tmp_path / "other.pte").write_bytes(content.replace(old, new))

        with pytest.raises(ValueError, match=r"other\.pte cannot be loaded by ExecuTorch 1\..* standard error"):
            Runtime().load(tmp_path / "other.pte", "cpu")
