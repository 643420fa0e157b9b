"""Execution modes of Keras artifacts: each has the outputs of the traced graph."""

import numpy as np
import pytest

from crnn.formats import keras_file
from crnn.models import keras_crnn
from crnn.runtimes.process import WorkerError, WorkerProcess
from crnn.runtimes.tensorflow_runtime import MODES, Runtime
from crnn.tests.test_models import SHALLOW, inputs


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A small model's file, and the outputs of its graph by number of lines."""
    keras_crnn.keras.utils.set_random_seed(1)
    model, path = keras_crnn.build(SHALLOW), tmp_path_factory.mktemp("modes") / "model.keras"
    keras_file.save(model, path)
    serve = keras_crnn.serving_function(model)
    return path, {count: serve(*inputs(count=count)).numpy() for count in (2, 3)}


@pytest.mark.parametrize("mode", MODES)
def test_modes_agree(mode, artifact):
    """In every mode the outputs are those of the graph, at several batch sizes, as float32 arrays."""
    path, expected = artifact
    runtime = Runtime()
    runtime.load(path, "cpu", mode=mode)

    for count, log_probs in expected.items():
        outputs = runtime(*inputs(count=count))
        assert type(outputs) is np.ndarray
        assert outputs.dtype == np.float32
        assert outputs == pytest.approx(log_probs, abs=1e-4)


def test_unknown_mode(artifact):
    """An unknown mode is an error that lists the known ones."""
    with pytest.raises(ValueError, match="no mode 'graph'; there are: function, xla, predict, eager"):
        Runtime().load(artifact[0], "cpu", mode="graph")


@pytest.fixture(scope="module")
def worker():
    """A worker, shared because importing TensorFlow takes seconds."""
    with WorkerProcess("corrupt") as process:
        yield process


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_corrupt_file(name, worker, tmp_path):
    """A file that Keras cannot read is an error from its worker that names the file."""
    path = tmp_path / name
    path.write_bytes(b"something else altogether")

    with pytest.raises(WorkerError, match=f"{name}: not a model that Keras reads"):
        worker.ask("load", "tensorflow", str(path), "cpu", {}, 1)
