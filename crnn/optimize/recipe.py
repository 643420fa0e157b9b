"""The interface of recipes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crnn.corpus import Corpus


class RecipeError(ValueError):
    """Settings or a parent that a recipe cannot work with; raised before any work starts."""


@dataclass(frozen=True)
class Build:
    """One artifact to build.

    Attributes:
        name: of the variant.
        parent: the parent's artifact, None for an original; never written to.
        target: where the artifact goes; its folder exists, the file does not.
        corpus: what to train on or calibrate with.
        checkpoint: a file from which an interrupted training resumes.
        parent_alphabet: the alphabet that the parent was trained on, None for an original.
    """

    name: str
    parent: Path | None
    target: Path
    corpus: Corpus
    checkpoint: Path
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
        """The parent's artifact, for recipes that need the corpus to have the parent's alphabet.

        Raises:
            RecipeError: the parent was trained on another alphabet.
        """
        if self.parent_alphabet is not None and self.parent_alphabet != self.corpus.alphabet:
            raise RecipeError(
                f"{self.source.name} reads the alphabet {self.parent_alphabet!r}, "
                f"the corpus {self.corpus.name} has {self.corpus.alphabet!r}: retrain the original on this corpus"
            )
        return self.source


Recipe = Callable[..., Mapping[str, Any]]
"""Takes a ``Build``, and options as keyword-only parameters, and writes ``build.target``.

What it returns is added to the artifact's record.
"""
