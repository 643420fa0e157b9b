"""What a recipe is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crnn.corpus import Corpus


class RecipeError(ValueError):
    """Settings or a parent that a recipe cannot work with; raised before any work is done."""


@dataclass(frozen=True)
class Build:
    """One artifact in the making.

    Attributes:
        name: the variant's.
        parent: the parent's artifact, None for an original; never written to.
        target: where the artifact goes; its folder exists, the file does not.
        corpus: what to train on or calibrate with.
        checkpoint: a file that a training may leave for its continuation.
        options: the recipe's settings, overridden by those of the command line.
        parent_alphabet: what the parent was trained to read, None for an original.
    """

    name: str
    parent: Path | None
    target: Path
    corpus: Corpus
    checkpoint: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    parent_alphabet: str | None = None

    @property
    def source(self) -> Path:
        """The parent's artifact, for recipes that have one.

        Raises:
            ValueError: the variant is an original.
        """
        if self.parent is None:
            raise ValueError(f"{self.name} is an original; its recipe has no parent to start from")
        return self.parent

    @property
    def teacher(self) -> Path:
        """The parent's artifact, for recipes that train what has to read as it does.

        Raises:
            RecipeError: it was trained to read another alphabet than the corpus has.
        """
        if self.parent_alphabet is not None and self.parent_alphabet != self.corpus.alphabet:
            raise RecipeError(
                f"{self.source.name} reads the alphabet {self.parent_alphabet!r}, "
                f"the corpus {self.corpus.name} is written in {self.corpus.alphabet!r}"
            )
        return self.source


Recipe = Callable[[Build], Mapping[str, Any]]
"""Writes ``build.target``; what it returns is kept in the artifact's record."""
