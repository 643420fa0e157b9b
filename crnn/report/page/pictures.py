"""Pictures of lines, to be shown in the page."""

import base64
import functools
import io
from collections.abc import Callable

import numpy as np

from crnn.corpus import Corpus, CorpusError, open_corpus
from crnn.report.results import ReportError


def pictures(corpus_sha256: str, given: Corpus | None = None) -> Callable[[int], str | None]:
    """Gives the picture of a line of the test split as a data address.

    Without a given corpus only the field corpus is at hand: for another one, or if it has changed since, there are
    none.

    Args:
        corpus_sha256: of the corpus that was measured on.
        given: that corpus, if it is a user's.

    Raises:
        ReportError: another corpus is given.
    """
    if given and given.sha256 != corpus_sha256:
        raise ReportError(
            f"--corpus {given.name}: the run read other lines, or the same at another --height, --width or --skip-unfit"
        )

    @functools.cache
    def images() -> np.ndarray | None:
        try:
            corpus = given or open_corpus(None)
        except CorpusError:
            return None
        return corpus.test.images if corpus.sha256 == corpus_sha256 else None

    @functools.cache
    def picture(line: int) -> str | None:
        found = images()
        if found is None or line >= len(found):
            return None
        from PIL import Image

        encoded = io.BytesIO()
        Image.fromarray(found[line]).save(encoded, "WEBP", quality=50)
        return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode()}"

    return picture
