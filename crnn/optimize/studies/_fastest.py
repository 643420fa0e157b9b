"""What the studies of the fastest recognizers share: trained once per folder, then quantized."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from crnn.artifacts import SHIPPED
from crnn.corpus.lines import Corpus
from crnn.optimize import fastest, openvino_convert
from crnn.optimize.recipe import Build

ORIGINAL = SHIPPED / "torch-original.pt"
# Shorter than for the shipped rows.
TRAINING: dict[str, Any] = {"lines": 65_536, "epochs": 3}


def built(
    name: str, corpus: Corpus, models: Path, recipe: Callable[..., dict[str, Any]] = fastest.train, **options: Any
) -> Path:
    """A recognizer for a study as a ``.pt`` file; trained unless a former run has.

    Args:
        name: of its file.
        corpus: to train on.
        models: folder for files.
        recipe: trains it.
        options: of the recipe.
    """
    target = models / f"{name}.pt"
    if not target.exists():
        unfinished = target.with_suffix(".part")
        recipe(Build(name, ORIGINAL, unfinished, corpus, models / f"{name}.npz"), **options)
        unfinished.rename(target)
    return target


def quantized(trained: Path, corpus: Corpus) -> Path:
    """A recognizer in OpenVINO's int8, as an ``.openvino`` file beside it."""
    target = trained.with_suffix(".openvino")
    openvino_convert.quantize(
        Build(trained.stem, trained, target, corpus, trained.with_suffix(".npz")), whole_ranges=True
    )
    return target
