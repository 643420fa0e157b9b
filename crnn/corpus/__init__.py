"""Labelled text-line images, for training and evaluation."""

from collections.abc import Sequence
from pathlib import Path

from crnn.corpus.lines import TIME_STEPS, Corpus, CorpusError, Lines, Size


def open_corpus(folder: Path | None, sizes: Sequence[Size] = (), time_steps: int = TIME_STEPS) -> Corpus:
    """Open a user's corpus, or the field corpus if no folder is given.

    Args:
        folder: of the user's corpus.
        sizes: further sizes at which the images are read, see ``Lines.resized``.
        time_steps: of the model that has the fewest; labels of a user's corpus that need more are faults.

    Raises:
        CorpusError: the corpus cannot be read; the message names every fault.
    """
    # Imported here: every worker imports this package, and none of them reads a picture.
    if folder is None:
        from crnn.corpus.synthetic import field_corpus

        return field_corpus(sizes)
    from crnn.corpus.user import read_corpus

    return read_corpus(folder, sizes=sizes, time_steps=time_steps)


__all__ = ["Corpus", "CorpusError", "Lines", "open_corpus"]
