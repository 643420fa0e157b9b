"""Quantization-aware training: what is trained in eight bits, what stays float, what the file computes."""

import numpy as np
import pytest

from crnn.formats import tflite_file
from crnn.models import keras_crnn
from crnn.optimize import keras_qat
from crnn.optimize.quantization_aware import check_layers, train
from crnn.optimize.recipe import Build, RecipeError
from crnn.runtimes.litert_runtime import Runtime
from crnn.tests.test_models import inputs, keras_answers
from crnn.tests.test_training import ALPHABET, TINY, corpus

INT8 = tflite_file.schema.TensorType.INT8


def build_of(tmp_path, alphabet=ALPHABET, **options):
    """A build from a tiny model whose matrices hold a few values, zero among them."""
    keras_crnn.keras.utils.set_random_seed(1)
    model, parent = keras_crnn.build(TINY), tmp_path / "parent.keras"
    coarse = [np.round(w * 4) / 4 if w.ndim > 1 else w + 0.1 for w in model.get_weights()]
    model.set_weights(coarse)
    keras_file.save(model, parent)
    given = {"batch_size": 4, "epochs": 1, "batch_sizes": [3]} | options
    return Build("tiny", parent, tmp_path / "tiny.tflite", corpus(), tmp_path / "tiny.npz", given, alphabet)


@pytest.fixture(scope="module", params=[False, True], ids=["qat", "pcqat"])
def trained(request, tmp_path_factory):
    """A tiny model trained for quantization, as a LiteRT file, and its build."""
    build = build_of(tmp_path_factory.mktemp("qat"), preserve=request.param)
    train(build)
    return tflite_file.read(build.target.read_bytes()), build


def operators(model, code):
    """The types of what each operator of a kind reads."""
    subgraph = model.subgraphs[0]
    return [
        [subgraph.tensors[index].type for index in operator.inputs[:2]]
        for operator in subgraph.operators
        if tflite_file.code_of(model, operator) == code
    ]


class TestFile:
    def test_convolutions_compute_in_int8(self, trained):
        """Each convolution reads int8 images and int8 weights."""
        assert operators(trained[0], tflite_file.Operator.CONV_2D) == [[INT8, INT8]] * len(TINY.channels)

    def test_lstms_read_floats(self, trained):
        """The LSTMs read floats; their weights are stored in eight bits."""
        float32 = tflite_file.schema.TensorType.FLOAT32

        assert operators(trained[0], tflite_file.Operator.UNIDIRECTIONAL_SEQUENCE_LSTM) == [[float32, INT8]] * 2

    def test_it_answers_near_its_parent(self, trained):
        """The file answers with distributions that a training of one epoch has not led far from the parent's."""
        runtime = Runtime()
        runtime.load(trained[1].target, "cpu")
        answers = runtime(*inputs(count=3))

        assert np.exp(answers).sum(-1) == pytest.approx(np.ones((3, 50)), abs=1e-5)
        assert np.abs(answers - keras_answers(keras_file.load(trained[1].parent), inputs(count=3))).max() < 1.0

    def test_zeros_are_kept_where_it_was_asked_for(self, trained):
        """With ``preserve`` a convolution's zeros are zeros of the file."""
        model, build = trained
        if not build.options["preserve"]:
            return
        parent = keras_file.load(build.parent)
        banks = [layer.get_weights()[0] for layer in parent.layers if layer.name.startswith("conv")]
        stored = [array for array in tflite_file.parameters(model) if array.ndim == 4]

        # (height, width, inputs, outputs) -> (outputs, height, width, inputs)
        assert [bool((s[b.transpose(3, 0, 1, 2) == 0] == 0).all()) for s, b in zip(stored, banks, strict=True)] == [
            True
        ] * len(banks)


class TestRanges:
    def test_start_at_what_is_seen(self):
        """Scales of activations start at the float model's range over the lines seen, not at tfmot's 6."""
        keras_crnn.keras.utils.set_random_seed(1)
        source = keras_crnn.build(TINY)
        model = keras_qat.quantization_aware(source)
        images, field = inputs(count=3)
        keras_qat.set_ranges(model, source, (images[..., None], field))
        answer = keras_crnn.keras.Model(source.inputs, source.get_layer("conv1").output)([images[..., None], field])
        found = {v.name.split("/")[-1]: float(v) for v in model.get_layer("quant_conv1").weights if "post" in v.name}

        assert found == pytest.approx(
            {"post_activation_min:0": float(np.min(answer)), "post_activation_max:0": float(np.max(answer))}
        )


class TestKinds:
    def test_only_what_was_asked_for(self):
        """Of the kinds that can be trained for quantization, only those named are wrapped."""
        model = keras_qat.quantization_aware(keras_crnn.build(TINY), kinds=["Dense"])
        wrapped = [layer.name for layer in model.layers if getattr(layer, "layer", None) and len(layer.weights) > 1]

        assert "quant_classifier" in wrapped
        assert not any("conv" in name for name in wrapped)


class TestBadInput:
    def test_unsupported_layers(self, tmp_path):
        """A layer that tfmot has no rule for is refused before any work, by name."""
        build = build_of(tmp_path, layers=["Conv2D", "LSTM"])

        with pytest.raises(RecipeError, match="tfmot cannot train LSTM for quantization, only Conv2D, Dense"):
            train(build)
        assert list(tmp_path.iterdir()) == [build.parent]

    def test_supported_layers(self):
        """Those it has a rule for pass."""
        assert check_layers(["Dense"]) is None

    def test_another_alphabet(self, tmp_path):
        """A parent that reads other characters is refused."""
        with pytest.raises(RecipeError, match="reads the alphabet"):
            train(build_of(tmp_path, "абвг"))
