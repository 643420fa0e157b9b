"""ncnn: conversion, outputs, counts, and files that it must not see."""

import zipfile

import numpy as np
import pytest

from crnn.formats import ncnn_file
from crnn.formats.counts import count, macs_of_config
from crnn.optimize import ncnn_convert
from crnn.optimize.recipe import Build
from crnn.runtimes.base import cuda_present
from crnn.runtimes.ncnn_runtime import Runtime
from crnn.runtimes.process import WorkerProcess
from crnn.tests.test_models import SMALL, inputs, torch_model, torch_outputs

COUNT = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The small model as PyTorch's file and as ncnn's, with weights in float32 and in float16."""
    from crnn.formats import pt_file

    folder = tmp_path_factory.mktemp("ncnn")
    pt_file.save(torch_model(SMALL), folder / "model.pt")
    for name, half in (("full", False), ("half", True)):
        build = Build(name, folder / "model.pt", folder / f"{name}.ncnn", None, folder / "none")
        ncnn_convert.convert(build, half_weights=half)
    return folder


@pytest.fixture(scope="module")
def expected():
    """The small model's outputs, by PyTorch."""
    return torch_outputs(torch_model(SMALL), inputs(count=COUNT))


def loaded(path, threads=1):
    """An engine with a file."""
    runtime = Runtime()
    runtime.threads = threads
    runtime.load(path, "cpu")
    return runtime


class TestOutputs:
    @pytest.mark.parametrize("threads", [1, 2])
    @pytest.mark.parametrize("size", [1, 2, COUNT])
    def test_equal_the_models(self, folder, expected, size, threads):
        """Outputs are float32 (B, 50, C) and equal PyTorch's, whether a thread reads one line or two read it."""
        images, field = inputs(count=COUNT)
        outputs = loaded(folder / "full.ncnn", threads)(images[:size], field[:size])

        assert (outputs.shape, outputs.dtype) == ((size, 50, SMALL.classes), np.float32)
        assert np.abs(outputs - expected[:size]).max() < 1e-4

    def test_weights_in_float16(self, folder, expected):
        """With weights in float16, rounding is visible and small."""
        outputs = loaded(folder / "half.ncnn")(*inputs(count=COUNT))

        assert 1e-5 < np.abs(outputs - expected).max() < 0.2

    def test_unlikely_classes_are_finite(self, tmp_path):
        """A probability that float32 cannot hold has a finite logarithm."""
        from crnn.formats import pt_file

        model = torch_model(SMALL)
        model.classifier.bias.data[2] = -200
        pt_file.save(model, tmp_path / "model.pt")
        ncnn_convert.convert(Build("sure", tmp_path / "model.pt", tmp_path / "sure.ncnn", None, tmp_path / "none"))
        outputs = loaded(tmp_path / "sure.ncnn")(*inputs())

        assert outputs.min() < -150
        assert np.abs(outputs - torch_outputs(model, inputs())).max() < 1e-3

    @pytest.mark.parametrize("threads", [1, 2])
    def test_threads(self, folder, threads):
        """As many threads compute as are asked for."""
        rng = np.random.default_rng(1)
        images, kinds = rng.integers(0, 256, (16, 32, 400), np.uint8), rng.integers(0, 2, 16).astype(np.uint8)
        with WorkerProcess("ncnn") as worker:
            worker.ask("load", "crnn.runtimes.anchors.ncnn_anchor", "", "cpu", {}, threads)
            worker.ask("keep", images, kinds)
            anchors = worker.ask("threads", 16)
        with WorkerProcess("ncnn") as worker:
            worker.ask("load", "ncnn", str(folder / "full.ncnn"), "cpu", {}, threads)
            worker.ask("keep", images, kinds)
            engines = worker.ask("threads", 16)

        # On a busy machine the second thread may be too late to count.
        assert {anchors, engines} <= {1, threads, None}

    @pytest.mark.skipif(cuda_present(), reason="this machine has a CUDA device")
    def test_cuda_is_refused(self, folder):
        """A request for CUDA is an error."""
        with pytest.raises(RuntimeError, match="--device cuda: ncnn runs on the CPU"):
            Runtime().load(folder / "full.ncnn", "cuda")


class TestFiles:
    def test_counts(self, folder):
        """MACs are the model's; the file has BatchNorm's statistics and one bias vector per LSTM."""
        parameters = sum(p.numel() for p in torch_model(SMALL).parameters())
        counts = count(folder / "full.ncnn", "ncnn")

        assert counts.parameters_stored == parameters + 2 * sum(SMALL.channels) - 4 * sum(SMALL.lstm_units)
        assert counts.macs_per_line == macs_of_config(SMALL)
        assert count(folder / "half.ncnn", "ncnn")[::3] == counts[::3]
        assert {array.dtype for array in ncnn_file.parameters(folder / "half.ncnn")} == {
            np.dtype(np.float16),
            np.dtype(np.float32),
        }

    def test_conversion_is_deterministic(self, folder, tmp_path):
        """Two conversions give the same file."""
        ncnn_convert.convert(Build("again", folder / "model.pt", tmp_path / "again", None, tmp_path / "none"))

        assert (tmp_path / "again").read_bytes() == (folder / "full.ncnn").read_bytes()

    def test_what_pnnx_cannot_read(self, folder, tmp_path, monkeypatch):
        """A failure of pnnx is an error with its output, and leaves no file."""
        import pnnx

        monkeypatch.setattr(pnnx, "EXEC_PATH", "/bin/false")
        with pytest.raises(RuntimeError, match="pnnx ended with 1"):
            ncnn_convert.convert(Build("none", folder / "model.pt", tmp_path / "none.ncnn", None, tmp_path / "none"))
        assert not (tmp_path / "none.ncnn").exists()

    @pytest.mark.parametrize("size", [0, 10, 1000, -1])
    def test_truncated_or_foreign(self, folder, tmp_path, size):
        """A truncated file, an empty one and another format's are errors that name the file."""
        path = tmp_path / "short.ncnn"
        path.write_bytes((folder / "full.ncnn").read_bytes()[:size])
        for file in (path, folder / "model.pt"):
            with pytest.raises(ValueError, match=rf"{file.name} is not a ZIP archive of model.param and model.bin"):
                loaded(file)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("7767517", "7767518", "does not start with 7767517"),
            ("Permute ", "Perspire ", "unknown operator Perspire in layer transpose"),
            ("Concat ", "Concat no_name_", "invalid literal"),
            ("19 in1 ", "19 in9 ", "makes blob in9"),
            ("out0", "out1", "no blob out0"),
            ("Squeeze ", "\nSqueeze ", "not enough values"),
            (" 9=2", " 9=2\nInput more 0 1 more", "layers make"),
            (" 6=36 ", " 6=37 ", "unknown type of weights"),
            (" 6=36 ", " 6=-36 ", "fewer than the layers need"),
            (" 6=36 ", " ", "no setting 6"),
            ("2=42", "2=41", "the layers need"),
        ],
    )
    def test_a_graph_that_does_not_fit(self, folder, tmp_path, old, new, message):
        """An unknown operator, a missing blob or weights of other sizes are errors, before ncnn reads the file."""
        model = ncnn_file.read(folder / "full.ncnn")
        assert old in model.graph
        ncnn_file.write(model.graph.replace(old, new, 1).encode(), model.weights, tmp_path / "other.ncnn")

        with pytest.raises(ValueError, match=rf"other\.ncnn cannot be read by ncnn .*{message}"):
            loaded(tmp_path / "other.ncnn")

    @pytest.mark.parametrize("change", [lambda weights: weights[:-4], lambda weights: weights + bytes(4)])
    def test_weights_of_another_size(self, folder, tmp_path, change):
        """Fewer or more weights than the layers have are an error."""
        model = ncnn_file.read(folder / "full.ncnn")
        ncnn_file.write(model.graph.encode(), change(model.weights), tmp_path / "other.ncnn")

        with pytest.raises(ValueError, match=r"other\.ncnn cannot be read by .*model\.bin has \d+ bytes"):
            loaded(tmp_path / "other.ncnn")

    def test_other_tools_can_read_it(self, folder):
        """The file is a ZIP archive of ncnn's two files."""
        with zipfile.ZipFile(folder / "full.ncnn") as archive:
            assert archive.namelist() == ["model.param", "model.bin"]
