"""Channels and hidden units of a PyTorch CRNN as groups of weights that have to be removed together.

A group is the outputs of one layer: the channels of a convolution with their BatchNorm, or
the hidden units of an LSTM. The columns of the layers that read them belong to it too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from crnn.models.torch_crnn import CRNN

LSTM_GATES = 4
"""Input, forget, cell, output: blocks of H rows each, in this order."""

_KNOWN = (nn.Conv2d, nn.BatchNorm2d, nn.LSTM, nn.Linear)
_PLAIN_LSTM = (1, False, 0)  # layers, whether bidirectional, size of the projection


class Part(NamedTuple):
    """Where one group's units lie in one tensor.

    Attributes:
        tensor: name in the model's state.
        dimension: along which the units lie.
        blocks: how many blocks of all units lie along it, one after the other.
        produces: True for the weights that compute the units, False for those that read them.
    """

    tensor: str
    dimension: int
    blocks: int = 1
    produces: bool = True


class Group(NamedTuple):
    """The outputs of one layer.

    Attributes:
        layer: its name in the model.
        units: number of units.
        parts: all tensors that change if one is removed.
        recurrent: whether the layer is an LSTM.
    """

    layer: str
    units: int
    parts: tuple[Part, ...]
    recurrent: bool


def check_known(model: nn.Module) -> None:
    """Refuse models that the groups do not describe.

    Raises:
        TypeError: the model has a layer with weights of another kind, or an LSTM
            with several layers, two directions or a projection.
    """
    for name, layer in model.named_modules():
        if not list(layer.parameters(recurse=False)):
            continue
        form = (layer.num_layers, layer.bidirectional, layer.proj_size) if isinstance(layer, nn.LSTM) else _PLAIN_LSTM
        if not isinstance(layer, _KNOWN) or form != _PLAIN_LSTM:
            raise TypeError(f"cannot prune {name}: no rule for {layer}")
    if not isinstance(model, CRNN):
        raise TypeError(f"cannot prune a {type(model).__name__}: only the CRNN's layers are known")


def groups(model: CRNN) -> list[Group]:
    """The model's groups, from input to output: five convolutions, two LSTMs.

    Raises:
        TypeError: see ``check_known``.
    """
    check_known(model)
    found = []
    for index, units in enumerate(model.config.channels):
        block = f"blocks.{index}"
        last = index + 1 == len(model.config.channels)
        # After the last block the channels are the first features of each time step; the field's follow them.
        reader = Part("lstms.0.weight_ih_l0" if last else f"blocks.{index + 1}.conv.weight", 1, produces=False)
        norm = ("weight", "bias", "running_mean", "running_var")
        own = [f"{block}.conv.weight", f"{block}.conv.bias", *(f"{block}.norm.{name}" for name in norm)]
        found.append(Group(f"{block}.conv", units, (*(Part(name, 0) for name in own), reader), recurrent=False))
    for index, units in enumerate(model.config.lstm_units):
        lstm = f"lstms.{index}"
        last = index + 1 == len(model.config.lstm_units)
        reader = Part("classifier.weight" if last else f"lstms.{index + 1}.weight_ih_l0", 1, produces=False)
        own = [f"{lstm}.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        gates = (Part(name, 0, LSTM_GATES) for name in own)
        found.append(
            Group(lstm, units, (*gates, Part(f"{lstm}.weight_hh_l0", 1, produces=False), reader), recurrent=True)
        )
    return found


def positions(part: Part, kept: Tensor, units: int, size: int) -> Tensor:
    """Indices, int64, that stay along a part's dimension: those of the kept units, and those of no unit."""
    blocks = [kept + block * units for block in range(part.blocks)]
    return torch.cat([*blocks, torch.arange(part.blocks * units, size)])


def keep(model: CRNN, kept: Sequence[Sequence[int]]) -> CRNN:
    """A new model with only the given units of each group; the old one is not changed.

    Args:
        model: the model to prune.
        kept: for each group, in the order of ``groups``, the units that stay.

    Raises:
        ValueError: a layer would be left with nothing, or a unit does not exist.
    """
    found, state = groups(model), {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for group, units in zip(found, kept, strict=True):
        if not len(units):
            raise ValueError(f"{group.layer} would be left with nothing")
        if not set(units) <= set(range(group.units)):
            raise ValueError(f"{group.layer} has units 0 to {group.units - 1}, not {sorted(units)}")
        order = torch.tensor(sorted(units))
        for part in group.parts:
            tensor = state[part.tensor]
            rows = positions(part, order, group.units, tensor.shape[part.dimension])
            state[part.tensor] = tensor.index_select(part.dimension, rows)
    blocks = len(model.config.channels)
    counts = [len(units) for units in kept]
    config = replace(model.config, channels=tuple(counts[:blocks]), lstm_units=tuple(counts[blocks:]))
    smaller = CRNN(config)
    smaller.load_state_dict(state)
    return smaller.train(model.training)


def unit_slices(model: CRNN, group: Group, produces: bool) -> Iterator[tuple[str, Tensor]]:
    """The parameters that produce a group's units, or those that read them.

    Yields:
        Name and view (U, weights per unit) of each; an LSTM's four gates lie side by side.
    """
    parameters = dict(model.named_parameters())
    for part in group.parts:
        if part.produces == produces and part.tensor in parameters:
            units_first = parameters[part.tensor].movedim(part.dimension, 0)[: part.blocks * group.units]
            # (blocks * U, ...) -> (blocks, U, ...) -> (U, blocks, ...) -> (U, weights per unit)
            yield part.tensor, units_first.unflatten(0, (part.blocks, group.units)).transpose(0, 1).flatten(1)
