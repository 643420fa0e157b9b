"""Conversion of weights between PyTorch and Keras, in both directions.

The order of kernel axes differs. A PyTorch LSTM has two bias vectors, Keras stores their sum.
Both keep the gates in the order i, f, g, o.
"""

from typing import TYPE_CHECKING

import numpy as np

from crnn.models.config import CRNNConfig

if TYPE_CHECKING:
    import tf_keras as keras

    from crnn.models.torch_crnn import CRNN

Weights = dict[str, np.ndarray]


def keras_from_torch(state: Weights, config: CRNNConfig) -> list[np.ndarray]:
    """Weights in the order of Keras' ``set_weights``, from a PyTorch state dict."""
    weights: list[np.ndarray] = []
    for index in range(len(config.channels)):
        block = f"blocks.{index}"
        weights += [
            state[f"{block}.conv.weight"].transpose(2, 3, 1, 0),  # (O, I, H, W) -> (H, W, I, O)
            state[f"{block}.conv.bias"],
            state[f"{block}.norm.weight"],
            state[f"{block}.norm.bias"],
            state[f"{block}.norm.running_mean"],
            state[f"{block}.norm.running_var"],
        ]
    for index in range(len(config.lstm_units)):
        lstm = f"lstms.{index}"
        weights += [
            state[f"{lstm}.weight_ih_l0"].T,  # (4H, I) -> (I, 4H)
            state[f"{lstm}.weight_hh_l0"].T,  # (4H, H) -> (H, 4H)
            state[f"{lstm}.bias_ih_l0"] + state[f"{lstm}.bias_hh_l0"],
        ]
    return [*weights, state["classifier.weight"].T, state["classifier.bias"]]


def torch_from_keras(weights: list[np.ndarray], config: CRNNConfig) -> Weights:
    """A PyTorch state dict from Keras' ``get_weights``; the second LSTM bias is zero."""
    left = iter(weights)
    state: Weights = {}
    for index in range(len(config.channels)):
        block = f"blocks.{index}"
        state[f"{block}.conv.weight"] = next(left).transpose(3, 2, 0, 1)  # (H, W, I, O) -> (O, I, H, W)
        state[f"{block}.conv.bias"] = next(left)
        state[f"{block}.norm.weight"] = next(left)
        state[f"{block}.norm.bias"] = next(left)
        state[f"{block}.norm.running_mean"] = next(left)
        state[f"{block}.norm.running_var"] = next(left)
        state[f"{block}.norm.num_batches_tracked"] = np.array(0)
    for index in range(len(config.lstm_units)):
        lstm = f"lstms.{index}"
        state[f"{lstm}.weight_ih_l0"] = next(left).T  # (I, 4H) -> (4H, I)
        state[f"{lstm}.weight_hh_l0"] = next(left).T  # (H, 4H) -> (4H, H)
        state[f"{lstm}.bias_ih_l0"] = next(left)
        state[f"{lstm}.bias_hh_l0"] = np.zeros_like(state[f"{lstm}.bias_ih_l0"])
    state["classifier.weight"] = next(left).T
    state["classifier.bias"] = next(left)
    return state


def to_keras(model: "CRNN") -> "keras.Model":
    """A Keras model with the weights of a PyTorch one."""
    from crnn.models import keras_crnn

    state = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    twin = keras_crnn.build(model.config)
    twin.set_weights(keras_from_torch(state, model.config))
    return twin


def to_torch(model: "keras.Model", config: CRNNConfig) -> "CRNN":
    """A PyTorch model, in evaluation mode, with the weights of a Keras one."""
    import torch

    from crnn.models import torch_crnn

    twin = torch_crnn.CRNN(config)
    state = torch_from_keras(model.get_weights(), config)
    twin.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in state.items()})
    return twin.eval()
