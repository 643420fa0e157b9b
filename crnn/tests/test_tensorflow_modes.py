"""Ways to call a Keras artifact: each answers as the traced graph does."""

import numpy as np
import pytest

from crnn.models import keras_crnn
from crnn.runtimes.process import WorkerError, WorkerProcess
from crnn.runtimes.tensorflow_runtime import MODES, Runtime
from crnn.tests.test_models import SMALL, inputs, keras_answers


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A small model's file, and the model."""
    keras_crnn.keras.utils.set_random_seed(1)
    model, path = keras_crnn.build(SMALL), tmp_path_factory.mktemp("modes") / "model.keras"
    keras_file.save(model, path)
    return path, model


@pytest.mark.parametrize("mode", MODES)
def test_modes_answer_alike(mode, artifact):
    """Whatever the way, the answers are those of the graph, at several batch sizes, as float32 arrays."""
    path, model = artifact
    runtime = Runtime()
    runtime.load(path, "cpu", mode=mode)

    for count in (2, 3):
        answers = runtime(*inputs(count=count))
        assert type(answers) is np.ndarray
        assert answers == pytest.approx(keras_answers(model, inputs(count=count)), abs=1e-4)


def test_unknown_mode(artifact):
    """A way that is not there is named with those that are."""
    with pytest.raises(ValueError, match="no mode 'graph'; there are: function, xla, predict, eager"):
        Runtime().load(artifact[0], "cpu", mode="graph")


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_corrupt_file(name, tmp_path):
    """A file that Keras cannot read fails its own worker, with the file's name."""
    path = tmp_path / name
    path.write_bytes(b"something else altogether")

    with WorkerProcess("corrupt") as worker, pytest.raises(WorkerError, match=f"{name}: not a model that Keras reads"):
        worker.ask("load", "tensorflow", str(path), "cpu", {}, 1)
