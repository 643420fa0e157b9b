"""The CRNN with convolutions in int8, scales from calibration (static quantization).

Each convolution is written as quantize, dequantize, float convolution. Inductor's x86 backend
turns this pattern into one int8 convolution. Executed eagerly it computes the same values in float.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from crnn.models.config import CRNNConfig
from crnn.models.torch_crnn import CRNN

INPUT_RANGE = (0, 255)
"""Activations are uint8."""
WEIGHT_RANGE = (-128, 127)
"""Weights are int8."""


class Scales(NamedTuple):
    """How one convolution is quantized.

    Attributes:
        weight: int8 (outputs, inputs, 3, 3).
        weight_scale: float32 (outputs,); zero points are 0.
        input_scale: of the input activations.
        input_zero_point: of the input activations.
    """

    weight: Tensor
    weight_scale: Tensor
    input_scale: float
    input_zero_point: int


class QDQConv2d(nn.Module):
    """A 3x3 same convolution on quantized inputs and weights; float in and out."""

    def __init__(self, scales: Scales, bias: Tensor) -> None:
        super().__init__()
        import torchao.quantization.pt2e  # noqa: F401 it registers the operators

        self.register_buffer("weight", scales.weight)
        self.register_buffer("weight_scale", scales.weight_scale)
        self.register_buffer("weight_zero_point", torch.zeros(len(scales.weight), dtype=torch.int64), persistent=False)
        self.register_buffer("bias", bias)
        self.input = (scales.input_scale, scales.input_zero_point)

    def forward(self, images: Tensor) -> Tensor:
        operators = torch.ops.quantized_decomposed
        scale, zero_point = self.input
        levels = operators.quantize_per_tensor(images, scale, zero_point, *INPUT_RANGE, torch.uint8)
        images = operators.dequantize_per_tensor(levels, scale, zero_point, *INPUT_RANGE, torch.uint8)
        weight = operators.dequantize_per_channel(
            self.weight, self.weight_scale, self.weight_zero_point, 0, *WEIGHT_RANGE, torch.int8
        )
        return nn.functional.conv2d(images, weight, self.bias, padding=1)


def quantized(model: CRNN, scales: list[Scales]) -> CRNN:
    """Replace the model's convolutions in place; returns the model."""
    for block, part in zip(model.blocks, scales, strict=True):
        block.conv = QDQConv2d(part, block.conv.bias.detach())
    return model


def save(model: CRNN, path: Path) -> None:
    """Write a quantized model; the file contains no pickled code."""
    inputs = [list(block.conv.input) for block in model.blocks]
    torch.save({"config": model.config.to_json(), "weights": model.state_dict(), "qdq_inputs": inputs}, path)


def from_content(content: dict[str, Any]) -> CRNN:
    """The quantized model from a file's content, in evaluation mode."""
    weights = content["weights"]
    model = CRNN(CRNNConfig.from_json(content["config"]))
    scales = [
        Scales(weights[f"blocks.{index}.conv.weight"], weights[f"blocks.{index}.conv.weight_scale"], *inputs)
        for index, inputs in enumerate(content["qdq_inputs"])
    ]
    quantized(model, scales).load_state_dict(weights)
    return model.eval()
