"""Labelled text-line images: what a model is trained on and judged by."""

import importlib.util
from pathlib import Path

from crnn.corpus.lines import Corpus, CorpusError, Lines


def open_corpus(folder: Path | None) -> Corpus:
    """The corpus in a folder, or the field corpus.

    Raises:
        CorpusError: it cannot be read; the message says why.
    """
    # Here, for every worker imports this package and none of them reads a picture.
    if folder is None:
        from crnn.corpus.synthetic import field_corpus

        return field_corpus()
    if importlib.util.find_spec("PIL") is None:
        raise CorpusError("reading images of your own needs pillow, not installed here; see requirements.txt")
    from crnn.corpus.user import read_corpus

    return read_corpus(folder)


__all__ = ["Corpus", "CorpusError", "Lines", "open_corpus"]
