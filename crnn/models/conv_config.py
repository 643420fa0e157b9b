"""The architecture of a recognizer without recurrent layers, made for int8 engines."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from crnn.corpus.lines import HEIGHT, KINDS, WIDTH
from crnn.interface import BUILT_IN


@dataclass(frozen=True)
class ConvConfig:
    """Convolutions over the image, then over time; each is Conv -> BatchNorm -> ReLU, with same padding.

    Engines fold BatchNorm into the convolution in front of it and the ReLU into its output, so each layer is one
    int8 kernel. After the convolutions over the image, rows become channels. CTC needs no recurrent layer:
    convolutions over time see enough context (Gao et al., 2017, arXiv:1709.01772; Yousef et al., 2018,
    arXiv:1812.11894).

    Attributes:
        classes: characters of the alphabet plus the CTC blank, which is class 0.
        image: convolutions over the image: channels, kernel, stride as (height, width).
        columns: convolutions over time: channels, kernel, stride. The strides reduce 400 columns to 50 steps.
        context: kernels of the residual convolutions behind them, which keep the number of channels.
        width: of the line's image, in pixels.
        height: of the line's image, in pixels.
    """

    classes: int = 46
    image: tuple[tuple[int, int, tuple[int, int]], ...] = ()
    columns: tuple[tuple[int, int, int], ...] = ((64, 5, 2), (96, 5, 2), (128, 5, 2))
    context: tuple[int, ...] = (5, 5)
    batch_norm_epsilon: float = 1e-3
    batch_norm_momentum: float = 0.1  # weight of the new batch, PyTorch's convention
    width: int = WIDTH
    height: int = HEIGHT

    architecture: ClassVar[str] = "convolutional"
    field_features = len(KINDS)

    def __post_init__(self) -> None:
        kernels = [kernel for _, kernel, _ in (*self.image, *self.columns)] + list(self.context)
        if even := [kernel for kernel in kernels if kernel % 2 == 0]:
            raise ValueError(f"kernels of {even} have no middle: take odd ones")
        if not self.columns:
            raise ValueError("there is no convolution over time")
        if self.steps != self.time_steps:
            raise ValueError(f"the strides reduce {self.width} columns to {self.steps} steps, not {self.time_steps}")

    @property
    def time_steps(self) -> int:
        """T."""
        return self.width // BUILT_IN.pixels_per_step

    @property
    def steps(self) -> int:
        """Time steps that the strides leave."""
        steps = self.width
        for stride in (*(stride[1] for _, _, stride in self.image), *(stride for _, _, stride in self.columns)):
            steps = -(-steps // stride)
        return steps

    @property
    def rows(self) -> int:
        """Rows that the convolutions over the image leave."""
        rows = self.height
        for _, _, stride in self.image:
            rows = -(-rows // stride[0])
        return rows

    @property
    def features(self) -> int:
        """Channels of a time step."""
        return self.columns[-1][0]

    @property
    def macs(self) -> int:
        """MACs for one line."""
        total, channels, height, width = 0, 1, self.height, self.width
        for outputs, kernel, stride in self.image:
            height, width = -(-height // stride[0]), -(-width // stride[1])
            total += height * width * kernel**2 * channels * outputs
            channels = outputs
        channels *= height
        for outputs, kernel, step in self.columns:
            width = -(-width // step)
            total += width * kernel * channels * outputs
            channels = outputs
        per_step = sum(kernel * channels**2 for kernel in self.context)
        return total + width * (per_step + (self.field_features + channels) * self.classes)

    def to_json(self) -> dict[str, Any]:
        """The config with the architecture's name, as JSON gives it back: tuples as lists; without the usual size."""
        usual = {"width": WIDTH, "height": HEIGHT}
        values = {name: value for name, value in asdict(self).items() if usual.get(name) != value}
        return json.loads(json.dumps({"architecture": self.architecture, **values}))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ConvConfig":
        """The inverse of ``to_json``; JSON's lists become tuples."""
        given = {name: value for name, value in values.items() if name != "architecture"}
        given["image"] = tuple((channels, kernel, tuple(stride)) for channels, kernel, stride in given["image"])
        given["columns"] = tuple(tuple(layer) for layer in given["columns"])
        given["context"] = tuple(given["context"])
        return cls(**given)
