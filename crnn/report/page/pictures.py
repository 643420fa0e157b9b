"""Pictures of lines, to be shown in the page."""

import base64
import functools
import io
from collections.abc import Callable

import numpy as np

from crnn.corpus import CorpusError, open_corpus


def pictures(corpus_sha256: str) -> Callable[[int], str | None]:
    """Gives the picture of a line of the test split as a data address.

    Only the field corpus is at hand: for another one, or if it has changed since, there are none.

    Args:
        corpus_sha256: of the corpus that was measured on.
    """

    @functools.cache
    def images() -> np.ndarray | None:
        try:
            corpus = open_corpus(None)
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
