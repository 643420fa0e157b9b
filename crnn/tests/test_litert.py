"""LiteRT: what a file holds, and that its outputs equal Keras's at every batch size it was converted for."""

from dataclasses import replace

import numpy as np
import pytest

from crnn.formats import keras_file, tflite_file, tflite_graph
from crnn.models import keras_crnn
from crnn.optimize import litert_convert
from crnn.optimize.calibration import inputs_of
from crnn.optimize.litert_convert import BATCH_SIZES, check_batch_sizes, convert, converted
from crnn.optimize.recipe import Build, RecipeError
from crnn.runtimes import base
from crnn.runtimes.litert_runtime import Runtime
from crnn.runtimes.process import WorkerError, WorkerProcess
from crnn.tests.test_models import STACKED, inputs, keras_outputs
from crnn.tests.test_training import ALPHABET, corpus, lines

# As many classes as lines in the converter's batch.
CONFIG = replace(STACKED, classes=2)
SIZES = (1, 3, 4)
TOLERANCES = {"none": 1e-4, "float16": 0.05, "dynamic": 1.0, "static": 2.0}


@pytest.fixture(scope="module")
def model():
    """A small Keras model."""
    keras_crnn.keras.utils.set_random_seed(1)
    model = keras_crnn.build(CONFIG)
    rng = np.random.default_rng(1)
    # The converter drops biases of zero.
    model.set_weights([w + (w.ndim == 1) * rng.uniform(0.1, 0.3, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def expected(model):
    """The model's outputs for three lines."""
    return keras_outputs(model, inputs(count=3))


@pytest.fixture(scope="module")
def parent(model, tmp_path_factory):
    """The model's file."""
    path = tmp_path_factory.mktemp("litert") / "parent.keras"
    keras_file.save(model, path)
    return path


@pytest.fixture(scope="module", params=TOLERANCES)
def file(request, parent):
    """The model converted with one of the quantizations, and the allowed difference from Keras."""
    folder = parent.parent
    build = Build("x", parent, folder / "x.tflite", corpus(), folder / "x.npz", ALPHABET)
    convert(build, quantization=request.param, batch_sizes=SIZES[::-1])
    return build.target, TOLERANCES[request.param]


@pytest.fixture(scope="module")
def as_converted(parent):
    """The model converted without this suite's edits."""
    folder = parent.parent
    build = Build("y", parent, folder / "y.tflite", corpus(), folder / "y.npz", ALPHABET)
    convert(build, as_converted=True, batch_sizes=SIZES)
    return build.target


def loaded(path):
    """Load a file in its engine, with one thread."""
    runtime = Runtime()
    runtime.threads = 1
    runtime.load(path, "cpu")
    return runtime


def operators(model):
    """The operators of a graph: their kinds, options and, per tensor, its shape and stored weights."""
    [subgraph] = model.subgraphs
    rows = []
    for operator in subgraph.operators:
        options = vars(operator.builtinOptions) if operator.builtinOptions else {}
        # The target of a reshape is a second input too; resizing drops the option.
        options = {name: value for name, value in options.items() if name != "newShape"}
        tensors = [subgraph.tensors[index] for index in (*operator.inputs, *operator.outputs) if index >= 0]
        stored = [model.buffers[tensor.buffer].data for tensor in tensors]
        contents = [None if data is None else bytes(data) for data in stored]
        shapes = [tuple(map(int, tensor.shape)) for tensor in tensors]
        rows.append((tflite_file.code_of(model, operator), options, shapes, contents))
    return rows


class TestOutputs:
    def test_equal_keras(self, file, expected):
        """Outputs are distributions, agree with Keras within the quantization's tolerance and repeat exactly."""
        path, tolerance = file
        runtime = loaded(path)
        outputs = [runtime(*inputs(count=3)) for _ in range(3)]

        assert np.abs(outputs[0] - expected).max() < tolerance
        assert np.exp(outputs[0]).sum(-1) == pytest.approx(np.ones((3, 50)), abs=1e-5)
        # The fused LSTMs keep their states between calls; the outputs must not depend on them.
        assert all(np.array_equal(outputs[0], again) for again in outputs[1:])

    @pytest.mark.parametrize("size", [1, 4])
    def test_at_every_batch_size(self, size, file):
        """A line's output does not depend on the batch size, except for rounding and scales per batch."""
        path, tolerance = file
        runtime = loaded(path)
        together = runtime(*inputs(count=3))
        images, field = (np.concatenate([array, array[:1]])[:size] for array in inputs(count=3))

        assert np.abs(runtime(images, field)[: min(size, 3)] - together[:size]).max() < tolerance


class TestContent:
    def test_counts(self, file, model, parent):
        """The file has the layers' weights, two numbers per BatchNorm channel and the Keras model's MACs."""
        statistics = 2 * sum(CONFIG.channels)
        macs = tflite_file.macs(file[0])

        assert sum(array.size for array in tflite_file.parameters(file[0])) == model.count_params() - statistics
        assert macs == keras_file.macs(parent)
        assert type(macs) is int  # JSON holds no numpy integer

    def test_sizes_share_weights(self, file):
        """The batch sizes are those requested, in order, and no weights are stored twice."""
        whole = tflite_file.read(file[0].read_bytes())
        stored = [buffer.data.tobytes() for buffer in whole.buffers if buffer.data is not None]

        assert tflite_file.batch_sizes(whole) == sorted(SIZES)
        assert len(set(stored)) == len(stored)

    def test_reading_is_the_inverse_of_writing(self, file):
        """A file that is read and written again has the same outputs."""
        path, _ = file
        copy = path.with_name("copy.tflite")
        copy.write_bytes(tflite_file.written(tflite_file.read(path.read_bytes())))

        assert np.array_equal(loaded(copy)(*inputs(count=3)), loaded(path)(*inputs(count=3)))


class TestConverter:
    def test_resized_equals_converted(self, model, monkeypatch):
        """A graph resized to another batch size has the tensors of one converted at that size."""
        resized = converted(model)
        tflite_file.resize(resized, 5)
        monkeypatch.setattr(litert_convert, "_CONVERTED_AT", 5)
        direct = converted(model)

        shapes = [[tuple(tensor.shape) for tensor in each.subgraphs[0].tensors] for each in (resized, direct)]
        assert shapes[0] == shapes[1]

    def test_cells_are_not_clipped(self, file):
        """No LSTM clips its cell state, unlike in the converter's own graph: clipping would change the outputs."""
        whole = tflite_file.read(file[0].read_bytes())
        clips = [operator.builtinOptions.cellClip for _, operator in tflite_graph.lstms(whole)]

        assert clips == [0.0] * len(CONFIG.lstm_units) * len(SIZES)

    def test_only_float_lstms_are_time_major(self, file):
        """LSTMs with float weights compute a time step for all lines at once, those with int8 weights line by line."""
        whole = tflite_file.read(file[0].read_bytes())
        found = {
            (bool(operator.builtinOptions.timeMajor), subgraph.tensors[operator.inputs[1]].type)
            for subgraph, operator in tflite_graph.lstms(whole)
        }

        assert found in ({(True, tflite_file.schema.TensorType.FLOAT32)}, {(False, tflite_file.schema.TensorType.INT8)})


class TestAsConverted:
    @pytest.mark.parametrize("size", SIZES)
    def test_outputs_equal_keras(self, size, as_converted, model):
        """At every batch size, and in every call, outputs agree with Keras as long as no cell reaches the clip."""
        runtime, batch = loaded(as_converted), inputs(count=size)
        outputs = [runtime(*batch) for _ in range(2)]

        assert np.abs(outputs[0] - keras_outputs(model, batch)).max() < TOLERANCES["none"]
        assert np.array_equal(*outputs)

    @pytest.mark.parametrize("size", SIZES[1:])
    def test_graph_is_the_converters(self, size, as_converted, model, monkeypatch):
        """Less the log softmax, each graph is the one that the converter writes at that batch size."""
        monkeypatch.setattr(litert_convert, "_CONVERTED_AT", size)
        direct = litert_convert.left_by_converter(model)
        kept = tflite_file.single(tflite_file.read(as_converted.read_bytes()), size)
        log_softmax = kept.subgraphs[0].operators.pop()

        assert tflite_file.code_of(kept, log_softmax) == tflite_file.Operator.LOG_SOFTMAX
        assert operators(kept) == operators(direct)

    def test_lstms_are_the_converters(self, as_converted):
        """LSTMs clip their cells and compute line by line, unlike those of the corrected graph."""
        lstms = [op.builtinOptions for _, op in tflite_graph.lstms(tflite_file.read(as_converted.read_bytes()))]

        assert {(options.cellClip, options.timeMajor) for options in lstms} == {(10.0, False)}
        assert len(lstms) == len(CONFIG.lstm_units) * len(SIZES)


class TestBadInput:
    def test_missing_batch_size(self, file):
        """Another batch size is an error that gives the known ones and the command to convert for others."""
        message = r"x\.tflite: the file was converted for batches of 1, 3, 4 lines, not of 2; `python -m crnn build"

        with pytest.raises(ValueError, match=message):
            loaded(file[0])(*inputs(count=2))

    def test_no_litert_file(self, tmp_path):
        """A file that is not LiteRT is an error from the engine in its process."""
        (tmp_path / "none.tflite").write_bytes(b"something else altogether")

        with WorkerProcess("none") as worker, pytest.raises(WorkerError, match="not a LiteRT file"):
            worker.ask("load", "litert", str(tmp_path / "none.tflite"), "cpu", {}, 1)

    def test_cuda(self, file):
        """The engine runs on the CPU only and says so."""
        with pytest.raises(RuntimeError, match="LiteRT runs on the CPU"):
            Runtime().load(file[0], "cuda")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"quantization": "int4"}, "no quantization 'int4'; there are: none, float16, dynamic, static"),
            ({"quantization": "static", "as_converted": True}, "as_converted needs quantization 'none', not 'static'"),
            ({"batch_sizes": [0, 1]}, "batch sizes have to be at least 1: 0, 1"),
            ({"quantization": "static", "calibration_lines": 0}, "at least one line, got 0"),
        ],
    )
    def test_impossible_settings(self, options, message, tmp_path):
        """Impossible settings are refused before the parent is read."""
        build = Build("x", tmp_path / "none", tmp_path / "x.tflite", corpus(), tmp_path / "x.npz", ALPHABET)

        with pytest.raises(RecipeError, match=message):
            convert(build, **options)

    def test_another_alphabet(self, tmp_path):
        """A parent with another alphabet is refused."""
        build = Build("x", tmp_path / "none", tmp_path / "x.tflite", corpus(), tmp_path / "x.npz", "абвг")

        with pytest.raises(RecipeError, match="reads the alphabet"):
            convert(build)

    def test_missing_engine_is_named(self, monkeypatch):
        """If LiteRT is not installed, that is reported before any process starts."""
        monkeypatch.setattr(base.importlib.util, "find_spec", lambda name: None if name == "ai_edge_litert" else name)

        assert base.missing("litert") == ["ai_edge_litert"]


def test_sizes_once_and_in_order():
    """Batch sizes occur once each, in ascending order; the defaults include those that the suite sweeps."""
    assert check_batch_sizes([32, 1, 32]) == (1, 32)
    assert {1, 2, 4, 8, 16, 32, 64, 128} <= set(BATCH_SIZES)


def test_calibration_is_spread_over_the_split():
    """Calibration uses evenly spaced lines, from the first to the last."""
    split = lines(9, 1)
    images, _ = inputs_of(split, 3)

    assert np.array_equal(np.rint(images * 255).astype(np.uint8), split.images[[0, 4, 8]])
