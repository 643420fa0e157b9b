"""Inputs and outputs of a model's file."""

from typing import NamedTuple


class Tensor(NamedTuple):
    """An input or an output.

    Attributes:
        name: as the file has it.
        shape: 0 for a size that is open; empty if the file does not tell.
        dtype: as numpy names it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        """For messages, such as ``images float32 (?, 32, 400)``."""
        return f"{self.name} {self.dtype} ({', '.join(str(size or '?') for size in self.shape) or 'of unknown shape'})"


class Ends(NamedTuple):
    """Inputs and outputs of a model's file."""

    inputs: list[Tensor]
    outputs: list[Tensor]
