"""Labelled text-line images: what a model is trained on and judged by."""

from pathlib import Path

from crnn.corpus.labels import FIELD_ALPHABET
from crnn.corpus.lines import Corpus, CorpusError, Lines
from crnn.corpus.synthetic import field_corpus, field_test_split
from crnn.corpus.user import read_corpus


def open_corpus(folder: Path | None) -> Corpus:
    """The corpus in a folder, or the field corpus."""
    return field_corpus() if folder is None else read_corpus(folder)


__all__ = [
    "FIELD_ALPHABET",
    "Corpus",
    "CorpusError",
    "Lines",
    "field_corpus",
    "field_test_split",
    "open_corpus",
    "read_corpus",
]
