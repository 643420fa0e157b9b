"""The recognizer without recurrent layers, in PyTorch; its interface is that of ``torch_crnn.CRNN``."""

import torch
from torch import Tensor, nn

from crnn.models.conv_config import ConvConfig


class ConvNorm(nn.Module):
    """Conv -> BatchNorm, with same padding; one kernel of an engine."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], config: ConvConfig
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs, config.batch_norm_epsilon, config.batch_norm_momentum)

    def forward(self, values: Tensor) -> Tensor:
        return self.norm(self.conv(values))


class ConvRecognizer(nn.Module):
    """``(images (B, 1, H, W), field (B, T, 2)) -> logits (B, T, C)``."""

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        self.config = config
        channels = 1
        self.image = nn.ModuleList()
        for outputs, kernel, stride in config.image:
            self.image.append(ConvNorm(channels, outputs, (kernel, kernel), stride, config))
            channels = outputs
        channels *= config.rows
        self.columns = nn.ModuleList()
        for outputs, kernel, step in config.columns:
            self.columns.append(ConvNorm(channels, outputs, (1, kernel), (1, step), config))
            channels = outputs
        self.context = nn.ModuleList(
            ConvNorm(channels, channels, (1, kernel), (1, 1), config) for kernel in config.context
        )
        self.classifier = nn.Conv2d(channels, config.classes, 1)
        # Added to the logits, of which there are fewer than features.
        self.field = nn.Linear(config.field_features, config.classes, bias=False)

    def features(self, images: Tensor) -> Tensor:
        """What the classifier reads, (B, F, 1, T)."""
        values = images
        for layer in self.image:
            values = torch.relu(layer(values))
        # (B, K, H, W) -> (B, K * H, W) -> (B, K * H, 1, W): rows become channels
        values = values.flatten(1, 2).unsqueeze(2)
        for layer in self.columns:
            values = torch.relu(layer(values))
        for layer in self.context:
            values = torch.relu(values + layer(values))
        return values

    def forward(self, images: Tensor, field: Tensor) -> Tensor:
        # (B, C, 1, T) -> (B, C, T) -> (B, T, C)
        logits = self.classifier(self.features(images)).squeeze(2).transpose(1, 2)
        return logits + self.field(field)
