"""Conversions that a session needs: built in separate processes, because converters import frameworks."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from crnn import artifacts, registry
from crnn.artifacts import ArtifactError
from crnn.corpus.lines import Corpus
from crnn.measure.building import run_shown
from crnn.measure.durations import BUILDING
from crnn.registry.variant import Variant

_ROOT = Path(__file__).parents[2]


def _build(
    groups: Sequence[Sequence[str]], corpus: Corpus, folder: Path | None, show: Callable[[int, str], None]
) -> list[subprocess.CompletedProcess[str]]:
    """``python -m crnn build`` for each group of names, all at the same time."""
    own = artifacts.corpus_words(corpus, folder)
    return run_shown([[sys.executable, "-m", "crnn", "build", *names, *own] for names in groups], _ROOT, show)


def build_all(
    variants: Sequence[Variant], corpus: Corpus, folder: Path | None, tell: Callable[[str, str], None]
) -> None:
    """Build the conversions that are not there yet: one process per framework, all at the same time.

    Importing a framework takes longer than most conversions.

    A conversion that fails here fails again in ``ready``, with its message.

    Args:
        variants: the rows to be measured.
        corpus: the corpus that they were trained on or are calibrated with.
        folder: folder of a user's corpus; None for the field corpus.
        tell: reports progress.
    """
    unbuilt = [variant for variant in variants if not variant.trained and not artifacts.is_built(variant, corpus)]
    if len(unbuilt) < 2:
        return
    ordered = sorted(unbuilt, key=lambda variant: variant.framework)
    groups = [[row.name for row in group] for _, group in groupby(ordered, key=lambda variant: variant.framework)]

    def show(group: int, line: str) -> None:
        tell(groups[group][0], f"{BUILDING} {len(groups[group])} conversions: {line}")

    tell(unbuilt[0].name, f"{BUILDING} {len(unbuilt)} conversions")
    _build(groups, corpus, folder, show)


def ready(
    variant: Variant, corpus: Corpus, folder: Path | None = None, tell: Callable[[str, str], None] = lambda *_: None
) -> Path:
    """The variant's artifact, converted first if necessary.

    Args:
        variant: the row.
        corpus: the corpus that it was trained on or is calibrated with.
        folder: folder of a user's corpus; None for the field corpus.
        tell: reports progress.

    Raises:
        ArtifactError: the artifact is missing, corrupt or cannot be built.
    """
    if not variant.trained and not artifacts.is_built(variant, corpus):
        for ancestor in registry.ancestors(variant):
            if ancestor.trained:
                artifacts.find(ancestor, corpus)

        tell(variant.name, BUILDING)
        [done] = _build([[variant.name]], corpus, folder, lambda _, line: tell(variant.name, f"{BUILDING}: {line}"))
        if done.returncode:
            raise ArtifactError(f"building {variant.name} failed:\n{done.stderr.strip()[-3000:]}")
    return artifacts.find(variant, corpus)
