"""The anchor of PyTorch."""

from pathlib import Path

import numpy as np

from crnn.runtimes.anchors import Anchor

_CHANNELS, _POOLS = (1, 32, 64, 64, 128, 256), ((2, 2), (2, 1), (2, 2), (2, 2), (2, 1))
_FIELD, _UNITS, _CLASSES = 2, 256, 46


class Runtime(Anchor):
    """Five convolution blocks, two LSTMs and a linear layer, in eager mode."""

    requires = ("torch",)

    def load(self, path: Path, device: str) -> None:
        """See the base class; reads no file."""
        import torch
        from torch import nn

        if self.threads:
            torch.set_num_threads(self.threads)
        cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
        self._torch, self._device = torch, torch.device("cuda" if cuda else "cpu")
        torch.manual_seed(1)
        layers: list[nn.Module] = []
        for inputs, outputs, pool in zip(_CHANNELS, _CHANNELS[1:], _POOLS, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(0.1)]
            layers += [nn.BatchNorm2d(outputs), nn.MaxPool2d(pool)]
        self._convolutions = nn.Sequential(*layers).to(self._device).eval()
        self._first = nn.LSTM(_CHANNELS[-1] + _FIELD, _UNITS, batch_first=True).to(self._device).eval()
        self._second = nn.LSTM(_UNITS, _UNITS, batch_first=True).to(self._device).eval()
        self._classifier = nn.Linear(_UNITS, _CLASSES).to(self._device).eval()

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        torch = self._torch
        with torch.inference_mode():
            columns = self._convolutions(torch.from_numpy(images).to(self._device).unsqueeze(1))
            # (B, F, 1, 50) -> (B, 50, F), the field joined: (B, 50, F + 2)
            steps = columns.squeeze(2).transpose(1, 2)
            steps = torch.cat([steps, torch.from_numpy(field).to(self._device)], dim=2)
            steps = self._second(self._first(steps)[0])[0]
            return torch.log_softmax(self._classifier(steps), dim=-1).cpu().numpy()

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"PyTorch {self._torch.__version__}", "device": str(self._device)}
