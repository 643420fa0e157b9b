"""Labelled text-line images: what a model is trained on and judged by."""

from pathlib import Path

from crnn.corpus.lines import Corpus, CorpusError, Lines


def open_corpus(folder: Path | None) -> Corpus:
    """The corpus in a folder, or the field corpus."""
    # Here, for every worker imports this package and none of them reads a picture.
    from crnn.corpus.synthetic import field_corpus
    from crnn.corpus.user import read_corpus

    return field_corpus() if folder is None else read_corpus(folder)


__all__ = ["Corpus", "CorpusError", "Lines", "open_corpus"]
