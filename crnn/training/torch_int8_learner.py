"""Quantization-aware training of a PyTorch model: it computes on rounded weights and activations, and learns to.

Rounding is passed through backwards (Jacob et al., 2018, arXiv:1712.05877). What is trained are the weights: engines
quantize them afterwards by their own tools, to the same levels.
"""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from crnn.training.loop import Schedule
from crnn.training.torch_distiller import TorchDistiller, Weighting

# Without VNNI engines give weights 7 bits, see ``openvino_convert.quantized``.
WEIGHT_LEVELS = (-63, 63)
ACTIVATION_LEVELS = (0, 255)
# Weight of the newest batch in the largest activation.
_NEWEST = 0.01


def rounded(weight: Tensor) -> Tensor:
    """Weights on a symmetric grid, one scale per output channel."""
    scales = weight.detach().flatten(1).abs().amax(1).clamp(min=1e-8) / WEIGHT_LEVELS[1]
    zeros = torch.zeros(len(weight), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, *WEIGHT_LEVELS)


class RoundedInput(nn.Module):
    """Activations from zero up on a grid of 8 bits, whose end follows the largest ones in training."""

    largest: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("largest", torch.zeros(()))

    def forward(self, values: Tensor) -> Tensor:
        if self.training:
            newest = values.detach().amax()
            # The first batch sets it.
            self.largest.copy_(torch.where(self.largest > 0, self.largest.lerp(newest, _NEWEST), newest))
        scale = self.largest.clamp(min=1e-8) / ACTIVATION_LEVELS[1]
        zero = torch.zeros((), dtype=torch.int32)
        return torch.fake_quantize_per_tensor_affine(values, scale, zero, *ACTIVATION_LEVELS)


class RoundedConv(nn.Module):
    """A convolution on rounded inputs and weights."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.input, self.conv = RoundedInput(), conv

    def forward(self, values: Tensor) -> Tensor:
        weight = rounded(self.conv.weight)
        return nn.functional.conv2d(self.input(values), weight, self.conv.bias, self.conv.stride, self.conv.padding)

    def plain(self) -> nn.Conv2d:
        """The convolution with the rounded weights as its own."""
        self.conv.weight.data = rounded(self.conv.weight.data)
        return self.conv


def _replace(model: nn.Module, kind: type[nn.Module], change: Any) -> None:
    """Replace each layer of a kind by what ``change`` makes of it."""
    for parent in [*model.modules()]:
        for name, layer in [*parent.named_children()]:
            if isinstance(layer, kind) and not isinstance(parent, RoundedConv):
                setattr(parent, name, change(layer))


class Int8Learner(TorchDistiller):
    """Learner whose convolutions compute on rounded values. BatchNorm keeps its statistics, as it does in engines."""

    def __init__(self, start: Any, schedule: Schedule, weighting: Weighting) -> None:
        """Continue with a model whose convolutions read values from zero up; the model itself is not changed.

        Args:
            start: the model.
            schedule: of the training.
            weighting: of the parts of the loss.
        """
        model = deepcopy(start)
        _replace(model, nn.Conv2d, RoundedConv)
        super().__init__(model, schedule, weighting)
        # It has no more digits than a rounded value.
        self._bfloat16 = False

    def _train_mode(self) -> None:
        super()._train_mode()
        for layer in self.model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()

    def plain(self) -> Any:
        """The model with plain convolutions, whose weights are the rounded ones."""
        model = deepcopy(self.model)
        _replace(model, RoundedConv, RoundedConv.plain)
        return model
