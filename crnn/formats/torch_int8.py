"""The CRNN with LSTMs and classifier in int8, activation scales computed at run time (dynamic quantization)."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.nn.quantized import dynamic
from torch.ao.nn.quantized.dynamic.modules.rnn import PackedParameter

from crnn.models.config import CRNNConfig
from crnn.models.torch_crnn import CRNN

_LSTM_WEIGHTS = ("weight_ih_l0", "weight_hh_l0")
_LSTM_BIASES = ("bias_ih_l0", "bias_hh_l0")


def quantize(model: CRNN) -> CRNN:
    """A copy whose LSTMs and classifier compute in int8: symmetric, one scale per weight tensor."""
    with warnings.catch_warnings():
        # PyTorch deprecates this in favour of torchao, which has no dynamic LSTM.
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.ao.quantization.quantize_dynamic(model, {nn.LSTM, nn.Linear}, torch.qint8)


def _quantized_tensors(model: CRNN) -> dict[str, Tensor]:
    """The int8 weights, by their names in the float model."""
    found = {"classifier.weight": model.classifier.weight()}
    for index, lstm in enumerate(model.lstms):
        weights = lstm.get_weight()
        found |= {f"lstms.{index}.{name}": weights[name] for name in _LSTM_WEIGHTS}
    return found


def save(model: CRNN, path: Path) -> None:
    """Write a quantized model: int8 values with their scales, all else as it is."""
    int8 = {
        name: {"values": tensor.int_repr(), "scale": tensor.q_scale()}
        for name, tensor in _quantized_tensors(model).items()
    }
    floats: dict[str, Tensor] = dict(model.blocks.state_dict(prefix="blocks."))
    floats["classifier.bias"] = model.classifier.bias()
    for index, lstm in enumerate(model.lstms):
        biases = lstm.get_bias()
        floats |= {f"lstms.{index}.{name}": biases[name] for name in _LSTM_BIASES}
    detached = {name: tensor.detach() for name, tensor in floats.items()}
    torch.save({"config": model.config.to_json(), "weights": detached, "int8": int8}, path)


def from_content(content: dict[str, Any]) -> CRNN:
    """The quantized model from a file's content: the same int8 values, nothing is quantized again."""
    floats = content["weights"]
    int8 = {
        name: torch._make_per_tensor_quantized_tensor(part["values"], part["scale"], 0)
        for name, part in content["int8"].items()
    }
    model = quantize(CRNN(CRNNConfig.from_json(content["config"])).eval())
    model.blocks.load_state_dict({k.removeprefix("blocks."): v for k, v in floats.items() if k.startswith("blocks.")})
    model.classifier.set_weight_bias(int8["classifier.weight"], floats["classifier.bias"])
    for index, lstm in enumerate(model.lstms):
        _fill(lstm, {name: int8[f"lstms.{index}.{name}"] for name in _LSTM_WEIGHTS}, [
            floats[f"lstms.{index}.{name}"] for name in _LSTM_BIASES
        ])  # fmt: skip
    return model.eval()


def _fill(lstm: dynamic.LSTM, weights: dict[str, Tensor], biases: list[Tensor]) -> None:
    """Set the weights of a quantized LSTM."""
    packed = [
        torch.ops.quantized.linear_prepack(weights[name], bias)
        for name, bias in zip(_LSTM_WEIGHTS, biases, strict=True)
    ]
    # Without VNNI, sums of full-range int8 products would overflow 16 bits.
    cell = torch.ops.quantized.make_quantized_cell_params_dynamic(*packed, *biases, True)
    lstm._all_weight_values = nn.ModuleList([PackedParameter(cell)])
