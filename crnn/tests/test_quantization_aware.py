"""Quantization-aware training: what is trained in int8, what stays float, what the file computes."""

import numpy as np
import pytest

from crnn.formats import keras_file, tflite_file
from crnn.models import keras_crnn
from crnn.optimize import keras_qat
from crnn.optimize.quantization_aware import check_layers, train
from crnn.optimize.recipe import Build, RecipeError
from crnn.runtimes.litert_runtime import Runtime
from crnn.tests.test_models import SHALLOW, inputs, keras_outputs
from crnn.tests.test_training import ALPHABET, corpus

INT8 = tflite_file.schema.TensorType.INT8


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A small model whose matrices hold a few values, zero among them, and its file."""
    keras_crnn.keras.utils.set_random_seed(1)
    model, path = keras_crnn.build(SHALLOW), tmp_path_factory.mktemp("parent") / "parent.keras"
    coarse = [np.round(w * 4) / 4 if w.ndim > 1 else w + 0.1 for w in model.get_weights()]
    model.set_weights(coarse)
    keras_file.save(model, path)
    return model, path


def build_of(parent, folder, alphabet=ALPHABET):
    """A build from the small model."""
    return Build("tiny", parent, folder / "tiny.tflite", corpus(), folder / "tiny.npz", alphabet)


@pytest.fixture(scope="module", params=[False, True], ids=["qat", "pcqat"])
def trained(request, source, tmp_path_factory):
    """A small model's file after quantization-aware training: path, content, and whether zeros had to stay."""
    build = build_of(source[1], tmp_path_factory.mktemp("qat"))
    train(build, preserve=request.param, batch_size=4, epochs=1, batch_sizes=[3])
    return build.target, tflite_file.read(build.target.read_bytes()), request.param


def operators(model, code):
    """The types of the first two inputs of each operator of a kind."""
    subgraph = model.subgraphs[0]
    return [
        [subgraph.tensors[index].type for index in operator.inputs[:2]]
        for operator in subgraph.operators
        if tflite_file.code_of(model, operator) == code
    ]


class TestFile:
    def test_convolutions_compute_in_int8(self, trained):
        """Each convolution reads int8 activations and int8 weights."""
        assert operators(trained[1], tflite_file.Operator.CONV_2D) == [[INT8, INT8]] * len(SHALLOW.channels)

    def test_lstms_read_floats(self, trained):
        """The LSTMs read floats; their weights are stored in int8."""
        found = operators(trained[1], tflite_file.Operator.UNIDIRECTIONAL_SEQUENCE_LSTM)

        assert found == [[tflite_file.schema.TensorType.FLOAT32, INT8]] * len(SHALLOW.lstm_units)

    def test_outputs_are_near_the_parents(self, trained, source):
        """The outputs are distributions and, after one epoch, still near the parent's."""
        runtime = Runtime()
        runtime.load(trained[0], "cpu")
        outputs = runtime(*inputs(count=3))

        assert np.exp(outputs).sum(-1) == pytest.approx(np.ones((3, 50)), abs=1e-5)
        assert np.abs(outputs - keras_outputs(source[0], inputs(count=3))).max() < 1.0

    def test_zeros_stay_where_asked_for(self, trained, source):
        """With ``preserve``, a convolution's zeros are zeros in the file."""
        _, content, preserve = trained
        if not preserve:
            return
        banks = [layer.get_weights()[0] for layer in source[0].layers if layer.name.startswith("conv")]
        stored = [array for array in tflite_file.parameters_of(content) if array.ndim == 4]

        # (height, width, inputs, outputs) -> (outputs, height, width, inputs)
        assert [bool((s[b.transpose(3, 0, 1, 2) == 0] == 0).all()) for s, b in zip(stored, banks, strict=True)] == [
            True
        ] * len(banks)


class TestRanges:
    def test_start_at_the_float_models_ranges(self, source):
        """Activation scales start at the float model's range over the given lines, not at tfmot's 6."""
        parent, _ = source
        model = keras_qat.quantization_aware(parent)
        images, field = inputs(count=3)
        keras_qat.set_ranges(model, parent, (images[..., None], field))
        output = keras_crnn.keras.Model(parent.inputs, parent.get_layer("conv1").output)([images[..., None], field])
        assert np.min(output) < 0 < np.max(output)
        found = {v.name.split("/")[-1]: float(v) for v in model.get_layer("quant_conv1").weights if "post" in v.name}

        assert found == pytest.approx(
            {"post_activation_min:0": float(np.min(output)), "post_activation_max:0": float(np.max(output))}
        )


class TestKinds:
    def test_only_the_kinds_asked_for(self, source):
        """Only layers of the named kinds are wrapped."""
        model = keras_qat.quantization_aware(source[0], kinds=["Dense"])
        wrapped = [layer.name for layer in model.layers if getattr(layer, "layer", None) and len(layer.weights) > 1]

        assert "quant_classifier" in wrapped
        assert not any("conv" in name for name in wrapped)


class TestBadInput:
    def test_unsupported_layers(self, source, tmp_path):
        """A layer without a tfmot rule is refused by name before any work."""
        with pytest.raises(RecipeError, match="tfmot cannot train LSTM for quantization, only Conv2D, Dense"):
            train(build_of(source[1], tmp_path), layers=["Conv2D", "LSTM"])
        assert list(tmp_path.iterdir()) == []

    def test_supported_layers(self):
        """Layers with a tfmot rule are accepted."""
        assert check_layers(["Dense"]) is None

    def test_another_alphabet(self, source, tmp_path):
        """A parent with another alphabet is refused before any work."""
        with pytest.raises(RecipeError, match="reads the alphabet"):
            train(build_of(source[1], tmp_path, "абвг"))
        assert list(tmp_path.iterdir()) == []
