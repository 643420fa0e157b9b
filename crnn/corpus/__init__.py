"""Labelled text-line images, for training and evaluation."""

from collections.abc import Sequence
from pathlib import Path

from crnn.corpus.lines import Corpus, CorpusError, Lines
from crnn.interface import BUILT_IN, Interface

AUTO = "auto"
# The first pools of the CRNN leave a row of so many; the last one takes those that are left.
_ROWS = 16


def parsed_width(text: str) -> int | str:
    """A width as a user gives it: a number of pixels, or ``AUTO``.

    Raises:
        CorpusError: neither, or the built-in models have no such width; the message says which they have.
    """
    if text == AUTO:
        return AUTO
    if not text.isdecimal() or int(text) < BUILT_IN.pixels_per_step or int(text) % BUILT_IN.pixels_per_step:
        raise CorpusError(f"--width {text}: expected {AUTO} or a multiple of {BUILT_IN.pixels_per_step} pixels")
    return int(text)


def parsed_height(text: str) -> int:
    """A height as a user gives it, in pixels.

    Raises:
        CorpusError: the built-in models have no such height; the message says which they have.
    """
    if not text.isdecimal() or int(text) < _ROWS or int(text) % _ROWS:
        raise CorpusError(f"--height {text}: expected a multiple of {_ROWS} pixels")
    return int(text)


def open_corpus(
    folder: Path | None,
    models: Sequence[Interface] = (BUILT_IN,),
    *,
    height: int | None = None,
    width: int | str | None = None,
    skip_unfit: bool = False,
) -> Corpus:
    """Open a user's corpus, or the field corpus if no folder is given.

    Args:
        folder: of the user's corpus.
        models: what reads it, see ``user.read_corpus``.
        height: of the images that built-in models read, for a user's corpus; None for the usual one.
        width: of these images.
        skip_unfit: whether lines of a user's corpus that do not fit are left out instead of an error.

    Raises:
        CorpusError: the corpus cannot be read; the message names every fault.
    """
    # Imported here: every worker imports this package, and none of them reads a picture.
    if folder is None:
        from crnn.corpus.synthetic import field_corpus

        for option, given, usual in (("height", height, "high"), ("width", width, "wide")):
            if given is not None:
                size = f"{getattr(BUILT_IN, option)} pixels {usual}"
                raise CorpusError(f"--{option} {given}: the lines of the field corpus are {size}")
        return field_corpus([one for one in dict.fromkeys(model.frame for model in models) if one != BUILT_IN.frame])
    from crnn.corpus.user import read_corpus

    height, width = height or BUILT_IN.height, width or BUILT_IN.width
    return read_corpus(folder, models=models, height=height, width=width, skip_unfit=skip_unfit)


__all__ = ["AUTO", "Corpus", "CorpusError", "Lines", "open_corpus", "parsed_height", "parsed_width"]
