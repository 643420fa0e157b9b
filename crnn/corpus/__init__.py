"""Labelled text-line images, for training and evaluation."""

from pathlib import Path

from crnn.corpus.lines import Corpus, CorpusError, Lines


def open_corpus(folder: Path | None) -> Corpus:
    """Open a user's corpus, or the field corpus if no folder is given.

    Raises:
        CorpusError: the corpus cannot be read; the message names every fault.
    """
    # Imported here: every worker imports this package, and none of them reads a picture.
    if folder is None:
        from crnn.corpus.synthetic import field_corpus

        return field_corpus()
    from crnn.corpus.user import read_corpus

    return read_corpus(folder)


__all__ = ["Corpus", "CorpusError", "Lines", "open_corpus"]
