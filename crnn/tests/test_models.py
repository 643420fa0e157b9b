"""The CRNN in both frameworks: sizes, weights ported between them, files, MACs."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.corpus.lines import model_inputs
from crnn.formats.counts import macs_of_config
from crnn.models.config import CRNNConfig

SMALL = CRNNConfig(classes=7, channels=(4, 4, 6, 6, 8), lstm_units=(5, 6))
SHALLOW = CRNNConfig(classes=4, channels=(2, 4), pools=((8, 4), (4, 2)), lstm_units=(4,))
"""For TensorFlow, which takes seconds to trace each layer; the classes are those of the tiny corpus."""
STACKED = replace(SHALLOW, lstm_units=(5, 6))


def inputs(seed=1, count=3):
    """Random inputs: images (N, 32, 400) and field (N, 50, 2), lines of both kinds."""
    rng = np.random.default_rng(seed)
    return model_inputs(rng.integers(0, 256, (count, 32, 400), np.uint8), rng.integers(0, 2, count).astype(np.uint8))


def torch_model(config, seed=1):
    """A model with random BatchNorm parameters: equal tensors would be stored once in ONNX."""
    import torch

    from crnn.models.torch_crnn import CRNN

    # On models this small, two threads spend their time waiting for each other.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = CRNN(config).eval()
    with torch.no_grad():
        for block in model.blocks:
            for tensor in (block.norm.weight, block.norm.bias, block.norm.running_mean):
                tensor.normal_()
            block.norm.running_var.uniform_(0.5, 1.5)
    return model


def torch_outputs(model, batch):
    """Log probabilities computed by PyTorch."""
    import torch

    from crnn.models.torch_crnn import LogProbabilities

    with torch.inference_mode():
        return LogProbabilities(model)(*map(torch.from_numpy, batch)).numpy()


def keras_outputs(model, batch):
    """Log probabilities computed by TensorFlow."""
    from crnn.models.keras_crnn import serving_function

    return serving_function(model)(*batch).numpy()


class TestConfig:
    def test_survives_json(self):
        """The config read back equals the one written."""
        assert CRNNConfig.from_json(SMALL.to_json()) == SMALL

    def test_pools_must_give_50_steps(self):
        """Pools that do not result in 1x50 are refused when the config is created."""
        with pytest.raises(ValueError, match="not 1x50"):
            CRNNConfig(pools=((2, 2),) * 5)


@pytest.fixture(scope="module")
def full_size():
    """The full-size model in PyTorch, and its port to Keras."""
    from crnn.models import port

    model = torch_model(CRNNConfig())
    return model, port.to_keras(model)


@pytest.fixture(scope="module")
def keras_model():
    """A small Keras model with two LSTMs."""
    from crnn.models import port

    return port.to_keras(torch_model(STACKED))


class TestTwins:
    def test_parameter_counts(self, full_size):
        """PyTorch has 1,492,398 parameters; Keras has one LSTM bias instead of two and counts BatchNorm statistics."""
        model, twin = full_size
        in_torch = sum(parameter.numel() for parameter in model.parameters())

        assert (in_torch, twin.count_params()) == (1_492_398, 1_491_438)
        assert in_torch - 2 * 4 * 256 + 2 * sum(CRNNConfig().channels) == 1_491_438

    def test_same_weights_same_outputs_at_full_size(self, full_size):
        """With the same weights both frameworks agree within 1e-4 in log probability."""
        (model, twin), batch = full_size, inputs()

        assert np.abs(torch_outputs(model, batch) - keras_outputs(twin, batch)).max() < 1e-4

    @settings(max_examples=5, deadline=None)
    @given(st.integers(0, 2**31))
    def test_port_back_computes_the_same(self, seed):
        """A model ported from PyTorch to Keras and back computes the same function, with its biases summed."""
        from crnn.models import port

        model, batch = torch_model(STACKED, seed), inputs(seed % 1000)
        back = port.to_torch(port.to_keras(model), STACKED)

        assert np.abs(torch_outputs(model, batch) - torch_outputs(back, batch)).max() < 1e-5

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 2**31))
    def test_keras_weights_survive_the_round_trip_exactly(self, keras_model, seed):
        """Weights ported from Keras to PyTorch and back are the same bit for bit."""
        from crnn.models import port

        rng = np.random.default_rng(seed)
        weights = [rng.normal(size=variable.shape).astype(np.float32) for variable in keras_model.weights]

        back = port.keras_from_torch(port.torch_from_keras(weights, STACKED), STACKED)
        assert all(np.array_equal(one, other) for one, other in zip(weights, back, strict=True))

    def test_field_matters(self):
        """The outputs depend on the kind of the line."""
        model, (images, field) = torch_model(SMALL), inputs()

        assert np.abs(torch_outputs(model, (images, field)) - torch_outputs(model, (images, 1 - field))).max() > 1e-3


class TestFiles:
    def test_torch_file_is_the_model(self, tmp_path):
        """The loaded model has the outputs of the saved one."""
        from crnn.formats import pt_file

        model, batch = torch_model(SMALL), inputs()
        pt_file.save(model, tmp_path / "model.pt")

        assert np.array_equal(torch_outputs(pt_file.load(tmp_path / "model.pt"), batch), torch_outputs(model, batch))

    def test_keras_file_is_the_model(self, keras_model, tmp_path):
        """The loaded model has the outputs of the saved one."""
        from crnn.formats import keras_file

        keras_file.save(keras_model, tmp_path / "model.keras")

        loaded, batch = keras_file.load(tmp_path / "model.keras"), inputs()
        assert np.array_equal(keras_outputs(loaded, batch), keras_outputs(keras_model, batch))

    def test_pickled_code_is_not_executed(self, tmp_path):
        """A .pt file that would run code is refused, and the code does not run."""
        import torch

        from crnn.formats import pt_file

        class Trap:
            def __reduce__(self):
                return (tmp_path.joinpath("sprung").touch, ())

        torch.save({"config": Trap()}, tmp_path / "trap.pt")

        with pytest.raises(pickle.UnpicklingError):
            pt_file.load(tmp_path / "trap.pt")
        assert not (tmp_path / "sprung").exists()

    def test_keras_lambda_is_refused(self, tmp_path):
        """A .keras file with a Lambda layer contains code and is not loaded."""
        from crnn.formats import keras_file
        from crnn.models.keras_crnn import keras

        keras.Sequential([keras.layers.Lambda(lambda x: x, input_shape=(1,))]).save(
            tmp_path / "lambda.keras", save_format="keras"
        )

        with pytest.raises(ValueError, match=r"[Ll]ambda"):
            keras_file.load(tmp_path / "lambda.keras")


class TestMacs:
    def test_by_hand(self):
        """The full model takes 233,753,600 MACs per line, layer by layer."""
        convolutions = 9 * (12800 * 32 + 3200 * 32 * 64 + 1600 * 64 * 64 + 400 * 64 * 128 + 100 * 128 * 256)
        lstms = 50 * 4 * 256 * (258 + 256 + 256 + 256)
        by_hand = convolutions + lstms + 50 * 256 * 46

        assert (by_hand, macs_of_config(CRNNConfig())) == (233_753_600, 233_753_600)

    def test_frameworks_agree(self, full_size, tmp_path):
        """The count from the Keras layers equals the count from the config."""
        from crnn.formats import keras_file

        keras_file.save(full_size[1], tmp_path / "full.keras")

        assert keras_file.macs(tmp_path / "full.keras") == macs_of_config(CRNNConfig())
