"""The twins: sizes, weights from one to the other, files."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.corpus.lines import model_inputs
from crnn.models.config import CRNNConfig

SMALL = CRNNConfig(classes=7, channels=(4, 4, 6, 6, 8), lstm_units=(5, 6))


def inputs(seed=1, count=3):
    """Random lines of both kinds."""
    rng = np.random.default_rng(seed)
    return model_inputs(rng.integers(0, 256, (count, 32, 400), np.uint8), rng.integers(0, 2, count).astype(np.uint8))


def torch_model(config, seed=1):
    """A model whose BatchNorm is not the trivial one: equal tensors would be stored once in ONNX."""
    import torch

    from crnn.models.torch_crnn import CRNN

    torch.manual_seed(seed)
    model = CRNN(config).eval()
    with torch.no_grad():
        for block in model.blocks:
            for tensor in (block.norm.weight, block.norm.bias, block.norm.running_mean):
                tensor.normal_()
            block.norm.running_var.uniform_(0.5, 1.5)
    return model


def torch_answers(model, batch):
    """Log probabilities by PyTorch."""
    import torch

    from crnn.models.torch_crnn import LogProbabilities

    with torch.inference_mode():
        return LogProbabilities(model)(*map(torch.from_numpy, batch)).numpy()


def keras_answers(model, batch):
    """Log probabilities by TensorFlow."""
    from crnn.models.keras_crnn import serving_function

    return serving_function(model)(*batch).numpy()


class TestConfig:
    def test_survives_json(self):
        """The config read back is the config."""
        assert CRNNConfig.from_json(SMALL.to_json()) == SMALL

    def test_pools_have_to_give_50_steps(self):
        """Pools that leave no 1x50 are refused when the config is made."""
        with pytest.raises(ValueError, match="not 1x50"):
            CRNNConfig(pools=((2, 2),) * 5)


@pytest.fixture(scope="module")
def keras_shapes():
    """Shapes of the small Keras model's weights."""
    from crnn.models import keras_crnn

    return [weight.shape for weight in keras_crnn.build(SMALL).get_weights()]


class TestTwins:
    def test_parameter_counts(self):
        """1,492,398 in PyTorch; Keras has one LSTM bias instead of two and counts BatchNorm's statistics."""
        from crnn.models import keras_crnn
        from crnn.models.torch_crnn import CRNN

        in_torch = sum(parameter.numel() for parameter in CRNN(CRNNConfig()).parameters())
        assert (in_torch, keras_crnn.build(CRNNConfig()).count_params()) == (1_492_398, 1_491_438)
        assert in_torch - 2 * 4 * 256 + 2 * sum(CRNNConfig().channels) == 1_491_438

    def test_same_weights_same_answers_at_full_size(self):
        """On the same weights both frameworks agree within 1e-4 in log probability."""
        from crnn.models import port

        model, batch = torch_model(CRNNConfig()), inputs()

        assert np.abs(torch_answers(model, batch) - keras_answers(port.to_keras(model), batch)).max() < 1e-4

    @settings(max_examples=5, deadline=None)
    @given(st.integers(0, 2**31))
    def test_port_back_computes_the_same(self, seed):
        """PyTorch to Keras to PyTorch: the same function, biases summed."""
        from crnn.models import port

        model, batch = torch_model(SMALL, seed), inputs(seed % 1000)
        back = port.to_torch(port.to_keras(model), SMALL)

        assert np.abs(torch_answers(model, batch) - torch_answers(back, batch)).max() < 1e-5

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 2**31))
    def test_keras_weights_survive_the_trip_exactly(self, keras_shapes, seed):
        """Keras to PyTorch to Keras gives every weight back bit by bit."""
        from crnn.models import port

        rng = np.random.default_rng(seed)
        weights = [rng.normal(size=shape).astype(np.float32) for shape in keras_shapes]

        back = port.keras_from_torch(port.torch_from_keras(weights, SMALL), SMALL)
        assert all(np.array_equal(one, other) for one, other in zip(weights, back, strict=True))

    def test_field_matters(self):
        """The kind of the line reaches the answer."""
        model, (images, field) = torch_model(SMALL), inputs()

        assert np.abs(torch_answers(model, (images, field)) - torch_answers(model, (images, 1 - field))).max() > 1e-3


class TestFiles:
    def test_torch_file_is_the_model(self, tmp_path):
        """What was saved answers as the model did."""
        model, batch = torch_model(SMALL), inputs()
        pt_file.save(model, tmp_path / "model.pt")

        assert np.array_equal(torch_answers(pt_file.load(tmp_path / "model.pt"), batch), torch_answers(model, batch))

    def test_keras_file_is_the_model(self, tmp_path):
        """What was saved answers as the model did."""
        from crnn.models import port

        model, batch = port.to_keras(torch_model(SMALL)), inputs()
        keras_file.save(model, tmp_path / "model.keras")

        loaded = keras_file.load(tmp_path / "model.keras")
        assert np.array_equal(keras_answers(loaded, batch), keras_answers(model, batch))

    def test_pickled_code_is_not_executed(self, tmp_path):
        """A .pt file that would run code is refused, and the code does not run."""
        import torch

        class Trap:
            def __reduce__(self):
                return (tmp_path.joinpath("sprung").touch, ())

        torch.save({"config": Trap()}, tmp_path / "trap.pt")

        with pytest.raises(pickle.UnpicklingError):
            pt_file.load(tmp_path / "trap.pt")
        assert not (tmp_path / "sprung").exists()

    def test_keras_lambda_is_refused(self, tmp_path):
        """A .keras file with a Lambda layer carries code and is not loaded."""
        from crnn.models.keras_crnn import keras

        keras.Sequential([keras.layers.Lambda(lambda x: x, input_shape=(1,))]).save(
            tmp_path / "lambda.keras", save_format="keras"
        )

        with pytest.raises(ValueError, match=r"[Ll]ambda"):
            keras_file.load(tmp_path / "lambda.keras")


class TestCost:
    def test_multiply_adds_by_hand(self):
        """The full model takes 233,753,600 multiply-adds a line, layer by layer."""
        convolutions = 9 * (12800 * 32 + 3200 * 32 * 64 + 1600 * 64 * 64 + 400 * 64 * 128 + 100 * 128 * 256)
        lstms = 50 * 4 * 256 * (258 + 256 + 256 + 256)
        by_hand = convolutions + lstms + 50 * 256 * 46

        assert (by_hand, macs_of_config(CRNNConfig())) == (233_753_600, 233_753_600)

    def test_frameworks_count_alike(self):
        """Keras and PyTorch give the same count."""
        from crnn.models import keras_crnn

        assert keras_file.macs_of_model(keras_crnn.build(SMALL)) == macs_of_config(SMALL)
