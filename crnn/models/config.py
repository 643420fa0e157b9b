"""The architecture, shared by both frameworks."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from crnn.corpus.lines import HEIGHT, KINDS, WIDTH, Corpus
from crnn.interface import BUILT_IN


@dataclass(frozen=True)
class CRNNConfig:
    """Five convolution blocks, two LSTMs, a linear layer (Shi et al., 2015, arXiv:1507.05717).

    Each block is Conv 3x3 same -> LeakyReLU -> BatchNorm -> MaxPool. The pools reduce 32x400
    to 1x50, and other widths alike; of other heights the last one takes the rows that are left, see
    ``of_corpus``. The field's two features are appended to each time step.

    Attributes:
        classes: characters of the alphabet plus the CTC blank, which is class 0.
        channels: output channels of the convolutions.
        pools: (height, width) of the poolings.
        lstm_units: hidden units of the LSTMs.
        width: of the line's image, in pixels.
        height: of the line's image, in pixels.
    """

    classes: int = 46
    channels: tuple[int, ...] = (32, 64, 64, 128, 256)
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 1), (2, 2), (2, 2), (2, 1))
    lstm_units: tuple[int, ...] = (256, 256)
    negative_slope: float = 0.1
    batch_norm_epsilon: float = 1e-3
    batch_norm_momentum: float = 0.1  # weight of the new batch, PyTorch's convention
    width: int = WIDTH
    height: int = HEIGHT

    field_features = len(KINDS)

    def __post_init__(self) -> None:
        height, width = self.height, self.width
        for pool_height, pool_width in self.pools:
            height, width = height // pool_height, width // pool_width
        if (height, width) != (1, self.time_steps) or len(self.pools) != len(self.channels):
            expected = f"1x{self.time_steps}"
            raise ValueError(
                f"{len(self.channels)} blocks with pools {self.pools} give {height}x{width}, not {expected}"
            )

    @property
    def time_steps(self) -> int:
        """T."""
        return self.width // BUILT_IN.pixels_per_step

    @classmethod
    def of_corpus(cls, corpus: Corpus, **others: Any) -> "CRNNConfig":
        """A model of the corpus's alphabet and image size.

        Args:
            corpus: that it reads.
            others: any other attribute.

        Raises:
            ValueError: no pools reduce images of that size to one row and a time step per 8 pixels.
        """
        height, width = corpus.size
        *first, last = cls.pools
        rows = height // prod(pool for pool, _ in first)
        pools = (*first, (rows, last[1]))
        return cls(classes=len(corpus.alphabet) + 1, width=width, height=height, pools=pools, **others)

    def to_json(self) -> dict[str, Any]:
        """The config as plain JSON values; without the size of the field corpus's lines."""
        usual = {"width": WIDTH, "height": HEIGHT}
        return {name: value for name, value in asdict(self).items() if usual.get(name) != value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "CRNNConfig":
        """The inverse of ``to_json``; JSON's lists become tuples."""
        frozen = dict(values)
        frozen["channels"] = tuple(frozen["channels"])
        frozen["lstm_units"] = tuple(frozen["lstm_units"])
        frozen["pools"] = tuple(tuple(pool) for pool in frozen["pools"])
        return cls(**frozen)
