"""Conversions that a session needs: built in separate processes, because converters import frameworks."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from crnn import artifacts, registry
from crnn.artifacts import ArtifactError
from crnn.corpus.lines import Corpus
from crnn.measure.building import run_shown
from crnn.registry.variant import Variant

_ROOT = Path(__file__).parents[2]
# One process per framework: importing one takes longer than most conversions.
_AT_ONCE = 2


def _build(names: Sequence[str], folder: Path | None, show: Callable[[str], None]) -> tuple[int, str]:
    """Exit status and standard error of ``python -m crnn build``."""
    own = ["--corpus", str(folder)] if folder else []
    done = run_shown([sys.executable, "-m", "crnn", "build", *names, *own], _ROOT, show)
    return done.returncode, done.stderr.strip()


def build_all(
    variants: Sequence[Variant], corpus: Corpus, folder: Path | None, tell: Callable[[str, str], None]
) -> None:
    """Build the conversions that are not there yet, two processes at once.

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

    def build(names: Sequence[str]) -> None:
        _build(names, folder, lambda line: tell(names[0], f"building {len(names)} conversions: {line}"))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(build, groups))


def ready(
    variant: Variant, corpus: Corpus, folder: Path | None = None, tell: Callable[[str, str], None] | None = None
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

        def show(line: str) -> None:
            if tell:
                tell(variant.name, f"building: {line}")

        status, said = _build([variant.name], folder, show)
        if status:
            raise ArtifactError(f"building {variant.name} failed:\n{said[-3000:]}")
    return artifacts.find(variant, corpus)
