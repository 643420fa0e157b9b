"""The CRNN in PyTorch, stage by stage the same as ``keras_crnn.py``."""

import itertools

import torch
from torch import Tensor, nn

from crnn.models.config import CRNNConfig


class ConvBlock(nn.Module):
    """Conv 3x3 same -> LeakyReLU -> BatchNorm -> MaxPool."""

    def __init__(self, inputs: int, outputs: int, pool: tuple[int, int], config: CRNNConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.activation = nn.LeakyReLU(config.negative_slope)
        self.norm = nn.BatchNorm2d(outputs, config.batch_norm_epsilon, config.batch_norm_momentum)
        self.pool = nn.MaxPool2d(pool)

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(self.norm(self.activation(self.conv(images))))


class CRNN(nn.Module):
    """``(images (B, 1, H, W), field (B, T, 2)) -> logits (B, T, C)``."""

    def __init__(self, config: CRNNConfig) -> None:
        super().__init__()
        self.config = config
        channels = (1, *config.channels)
        self.blocks = nn.Sequential(
            *(
                ConvBlock(inputs, outputs, pool, config)
                for (inputs, outputs), pool in zip(itertools.pairwise(channels), config.pools, strict=True)
            )
        )
        features = (channels[-1] + config.field_features, *config.lstm_units)
        self.lstms = nn.ModuleList(
            nn.LSTM(inputs, units, batch_first=True) for inputs, units in itertools.pairwise(features)
        )
        self.classifier = nn.Linear(features[-1], config.classes)

    def forward(self, images: Tensor, field: Tensor) -> Tensor:
        columns = self.blocks(images)
        # (B, F, 1, T) -> (B, F, T) -> (B, T, F)
        steps = columns.squeeze(2).transpose(1, 2)
        steps = torch.cat([steps, field], dim=2)  # (B, T, F + 2)
        for lstm in self.lstms:
            steps, _ = lstm(steps)
        return self.classifier(steps)


class LogProbabilities(nn.Module):
    """The deployed function: ``(images (B, H, W), field (B, T, 2)) -> (B, T, C)``."""

    def __init__(self, model: CRNN, channels_last: bool = False) -> None:
        super().__init__()
        self.model, self.channels_last = model, channels_last

    def forward(self, images: Tensor, field: Tensor) -> Tensor:
        # (B, H, W) -> (B, 1, H, W); with one channel, only the strides tell channels last from channels first
        pixels = images.unsqueeze(-1).permute(0, 3, 1, 2) if self.channels_last else images.unsqueeze(1)
        return torch.log_softmax(self.model(pixels, field).float(), dim=-1)
