"""LiteRT: what a file holds, and that it answers as Keras does at every batch size it was converted for."""

from dataclasses import replace

import numpy as np
import pytest

from crnn.formats import tflite_file, tflite_graph
from crnn.models import keras_crnn
from crnn.optimize.litert_convert import BATCH_SIZES, calibration_lines, check_batch_sizes, convert, converted
from crnn.optimize.recipe import Build, RecipeError
from crnn.runtimes import base
from crnn.runtimes.litert_runtime import Runtime
from crnn.runtimes.process import WorkerError, WorkerProcess
from crnn.tests.test_models import SMALL, inputs, keras_answers
from crnn.tests.test_training import ALPHABET, corpus, lines

SIZES = (1, 3, 4)
MODES = {"none": 1e-4, "float16": 0.05, "dynamic": 1.0, "static": 2.0}


@pytest.fixture(scope="module")
def model():
    """A small model, with as many classes as lines in the converter's batch."""
    keras_crnn.keras.utils.set_random_seed(1)
    model = keras_crnn.build(replace(SMALL, classes=2))
    rng = np.random.default_rng(1)
    # Biases of zero would be left out of a converted file.
    model.set_weights([w + (w.ndim == 1) * rng.uniform(0.1, 0.3, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module", params=MODES)
def file(request, model, tmp_path_factory):
    """The small model converted in one of the ways, and the difference to Keras that it may have."""
    folder = tmp_path_factory.mktemp("litert")
    keras_file.save(model, folder / "parent.keras")
    options = {"quantization": request.param, "batch_sizes": SIZES[::-1]}
    build = Build("x", folder / "parent.keras", folder / "x.tflite", corpus(), folder / "x.npz", options, ALPHABET)
    convert(build)
    return build.target, MODES[request.param]


def loaded(path):
    """A file in its engine, one thread."""
    runtime = Runtime()
    runtime.threads = 1
    runtime.load(path, "cpu")
    return runtime


class TestAnswers:
    def test_as_keras(self, file, model):
        """As nearly as the technique promises, distributions in each time step, again and again."""
        path, tolerance = file
        runtime, expected = loaded(path), keras_answers(model, inputs(count=3))
        answers = [runtime(*inputs(count=3)) for _ in range(3)]

        assert np.abs(answers[0] - expected).max() < tolerance
        assert np.exp(answers[0]).sum(-1) == pytest.approx(np.ones((3, 50)), abs=1e-5)
        # The fused LSTMs keep their states from call to call; nothing of it may show.
        assert all(np.array_equal(answers[0], again) for again in answers[1:])

    @pytest.mark.parametrize("size", [1, 4])
    def test_at_every_batch_size(self, size, file):
        """A line is answered alike whatever the batch, but for rounding and scales of the batch."""
        path, tolerance = file
        runtime = loaded(path)
        together = runtime(*inputs(count=3))
        images, field = (np.concatenate([array, array[:1]])[:size] for array in inputs(count=3))

        assert np.abs(runtime(images, field)[: min(size, 3)] - together[:size]).max() < tolerance


class TestContent:
    def test_counts(self, file, model):
        """All weights of the layers and two numbers a BatchNorm channel; multiply-adds as Keras'."""
        runtime = loaded(file[0])
        statistics = 2 * sum(SMALL.channels)

        assert sum(array.size for array in runtime.parameters()) == model.count_params() - statistics
        assert runtime.multiply_adds() == keras_file.macs_of_model(model)
        assert type(runtime.multiply_adds()) is int  # numpy's would be lost in a JSON

    def test_sizes_share_weights(self, file):
        """The sizes are those asked for, in order, and the weights of all of them are the same bytes."""
        whole = tflite_file.read(file[0].read_bytes())
        stored = [buffer.data.tobytes() for buffer in whole.buffers if buffer.data is not None]

        assert tflite_file.batch_sizes(whole) == sorted(SIZES)
        assert len(set(stored)) == len(stored)

    def test_reading_is_the_inverse_of_writing(self, file):
        """A file that is read and written answers as before."""
        path, _ = file
        copy = path.with_name("copy.tflite")
        copy.write_bytes(tflite_file.written(tflite_file.read(path.read_bytes())))

        assert np.array_equal(loaded(copy)(*inputs(count=3)), loaded(path)(*inputs(count=3)))


class TestConverter:
    def test_resized_is_what_the_converter_makes(self, model, monkeypatch):
        """A graph resized to another batch has the tensors and operators of one that is converted at it."""
        from crnn.optimize import litert_convert

        resized = converted(model)
        tflite_file.resize(resized, 5)
        monkeypatch.setattr(litert_convert, "_CONVERTED_AT", 5)
        made = converted(model)

        shapes = [[tuple(tensor.shape) for tensor in each.subgraphs[0].tensors] for each in (resized, made)]
        assert shapes[0] == shapes[1]

    def test_cells_are_not_clipped(self, file):
        """No LSTM clips its cells, as the converter would have it: that changes what the shipped model answers."""
        whole = tflite_file.read(file[0].read_bytes())
        clips = [operator.builtinOptions.cellClip for _, operator in tflite_graph.lstms(whole)]

        assert clips == [0.0] * 2 * len(SIZES)

    def test_a_step_of_all_lines_at_once(self, file):
        """LSTMs on float weights go through the batch step by step, those on int8 weights line by line."""
        whole = tflite_file.read(file[0].read_bytes())
        found = {
            (bool(operator.builtinOptions.timeMajor), subgraph.tensors[operator.inputs[1]].type)
            for subgraph, operator in tflite_graph.lstms(whole)
        }

        assert found in ({(True, tflite_file.schema.TensorType.FLOAT32)}, {(False, tflite_file.schema.TensorType.INT8)})


class TestBadInput:
    def test_a_batch_size_that_is_not_there(self, file):
        """A batch of another size is refused, with the sizes and the way out."""
        message = r"x\.tflite: the file was converted for batches of 1, 3, 4 lines, not of 2; `python -m crnn build"

        with pytest.raises(ValueError, match=message):
            loaded(file[0])(*inputs(count=2))

    def test_no_litert_file(self, tmp_path):
        """What is something else is said to be so, by the engine in its process."""
        (tmp_path / "none.tflite").write_bytes(b"something else altogether")

        with WorkerProcess("none") as worker, pytest.raises(WorkerError, match="not a LiteRT file"):
            worker.ask("load", "litert", str(tmp_path / "none.tflite"), "cpu", {}, 1)

    def test_cuda(self, file):
        """It runs on the CPU only and says so."""
        with pytest.raises(RuntimeError, match="LiteRT runs on the CPU"):
            Runtime().load(file[0], "cuda")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"quantization": "int4"}, "no quantization 'int4'; there are: none, float16, dynamic, static"),
            ({"batch_sizes": [0, 1]}, "batch sizes have to be at least 1: 0, 1"),
            ({"quantization": "static", "calibration_lines": 0}, "at least one line, not 0"),
        ],
    )
    def test_impossible_settings(self, options, message, tmp_path):
        """Settings that cannot be meant are refused before the parent is read."""
        build = Build("x", tmp_path / "none", tmp_path / "x.tflite", corpus(), tmp_path / "x.npz", options, ALPHABET)

        with pytest.raises(RecipeError, match=message):
            convert(build)

    def test_another_alphabet(self, tmp_path):
        """A parent that reads other characters is refused."""
        build = Build("x", tmp_path / "none", tmp_path / "x.tflite", corpus(), tmp_path / "x.npz", {}, "абвг")

        with pytest.raises(RecipeError, match="reads the alphabet"):
            convert(build)

    def test_missing_engine_is_named(self, monkeypatch):
        """Where LiteRT is not installed, that is said before anything is started."""
        monkeypatch.setattr(base.importlib.util, "find_spec", lambda name: None if name == "ai_edge_litert" else name)

        assert base.missing("litert") == ["ai_edge_litert"]


def test_sizes_once_and_in_order():
    """Batch sizes are taken once each, in ascending order; those the suite sweeps are there by default."""
    assert check_batch_sizes([32, 1, 32]) == (1, 32)
    assert {1, 2, 4, 8, 16, 32, 64, 128} <= set(BATCH_SIZES)


def test_calibration_is_spread_over_the_split():
    """Calibration sees lines from the first to the last."""
    split = lines(9, 1)
    images, _ = calibration_lines(split, 3)

    assert np.array_equal(np.rint(images * 255).astype(np.uint8), split.images[[0, 4, 8]])
