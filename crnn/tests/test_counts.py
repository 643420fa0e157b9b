"""Counts of a file: deflated weights depend on values and types, not on container, graph or packing."""

import zlib
from math import prod

import numpy as np
import pytest
import torch

from crnn.formats import keras_file, pt_file, torch_int8
from crnn.formats.counts import count
from crnn.models import keras_crnn
from crnn.optimize.litert_convert import convert
from crnn.optimize.recipe import Build
from crnn.tests.test_models import SHALLOW, torch_model
from crnn.tests.test_training import ALPHABET, TINY, corpus


def deflated(arrays):
    """Bytes of the arrays, each deflated alone."""
    return sum(len(zlib.compress(np.ascontiguousarray(array))) for array in arrays)


@pytest.fixture
def saved(tmp_path):
    """A function that writes a PyTorch model and counts its file."""

    def save(model, writer=pt_file.save):
        writer(model, tmp_path / "model.pt")
        return count(tmp_path / "model.pt", "pt")

    return save


class TestTorch:
    def test_arrays_are_deflated_as_they_are(self, saved):
        """Float weights are deflated as float32, BatchNorm's statistics are left out."""
        model = torch_model(TINY)

        assert saved(model).deflated_weights_bytes == deflated(p.detach().numpy() for p in model.parameters())

    def test_codebooks_are_expanded(self, saved):
        """Clustered weights count like the same weights saved as floats."""
        model = torch_model(TINY)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(parameter.sign())

        assert saved(model, pt_file.save_clustered) == saved(model)

    def test_bfloat16_has_two_bytes(self, saved):
        """Weights in bfloat16 are deflated with their own bits; a negative zero is zero."""
        model = torch_model(TINY).bfloat16()
        with torch.no_grad():
            model.classifier.bias.fill_(-0.0)
        bits = [(p.detach() + 0).view(torch.int16).numpy() for p in model.parameters()]
        counts = saved(model)

        assert counts.deflated_weights_bytes == deflated(bits)
        assert counts.parameters_nonzero == saved(model.float()).parameters_nonzero < counts.parameters_stored

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
    def test_int8_has_one_byte(self, saved):
        """Quantized weights are deflated as int8, the others as float32."""
        model = torch_model(TINY).eval()
        int8 = [
            tensor.int_repr().numpy() for tensor in torch_int8._quantized_tensors(torch_int8.quantize(model)).values()
        ]
        names = ("classifier.weight", "lstms.0.weight", "lstms.1.weight")
        floats = [p.detach().numpy() for name, p in model.named_parameters() if not name.startswith(names)]

        assert saved(torch_int8.quantize(model), torch_int8.save).deflated_weights_bytes == deflated(int8 + floats)


class TestTensorFlow:
    def test_compression_of_the_archive_does_not_count(self, tmp_path):
        """A compressed archive counts like a plain one with the same weights."""
        plain, packed = tmp_path / "plain.keras", tmp_path / "packed.keras"
        keras_file.save_compressed(keras_crnn.build(SHALLOW), packed)
        keras_file.save(keras_file.load(packed), plain)

        assert packed.stat().st_size < plain.stat().st_size
        assert count(packed, "keras") == count(plain, "keras")

    def test_the_state_of_an_optimizer_does_not_count(self, tmp_path):
        """A model that was trained and saved with its optimizer has the parameters that Keras counts."""
        model = keras_crnn.build(SHALLOW)
        model.compile(keras_crnn.keras.optimizers.Adam())
        model.optimizer.build(model.trainable_variables)
        keras_file.save(model, tmp_path / "trained.keras")

        assert count(tmp_path / "trained.keras", "keras").parameters_stored == model.count_params()

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"padding": "same", "strides": 3},
            {"strides": (2, 3)},
            {"dilation_rate": 2},
            {"padding": "same", "groups": 2},
        ],
    )
    def test_convolutions_of_any_kind(self, tmp_path, options):
        """MACs of a convolution are its outputs times the inputs of each, as the built layer has them."""
        keras = keras_crnn.keras
        image = keras.Input((11, 13, 4))
        output = keras.layers.Conv2D(6, (3, 2), **options)(image)
        keras_file.save(keras.Model(image, output), tmp_path / "one.keras")

        per_output = 3 * 2 * 4 // options.get("groups", 1)
        assert keras_file.macs(tmp_path / "one.keras") == prod(output.shape[1:]) * per_output

    def test_graphs_of_several_batch_sizes_count_once(self, tmp_path):
        """A LiteRT file for two batch sizes counts like one for a single size."""
        keras_file.save(keras_crnn.build(SHALLOW), tmp_path / "parent.keras")
        counts = []
        for sizes in ([1], [1, 4]):
            target = tmp_path / f"{len(sizes)}.tflite"
            convert(
                Build("x", tmp_path / "parent.keras", target, corpus(), tmp_path / "x.npz", ALPHABET),
                batch_sizes=sizes,
            )
            counts.append(count(target, "tflite"))

        assert counts[0] == counts[1]
        assert counts[0].deflated_weights_bytes > 0
