"""Pictures of lines, to be shown in the page."""

import base64
import functools
import io
from collections.abc import Callable

from crnn.corpus import CorpusError, open_corpus


def pictures(corpus_sha256: str) -> Callable[[int], str | None]:
    """Gives the picture of a line of the test split as a data address.

    Only the field corpus is at hand: for another one, or if it has changed since, there are none.

    Args:
        corpus_sha256: of the corpus that was measured on.
    """

    @functools.cache
    def picture(line: int) -> str | None:
        try:
            corpus = open_corpus(None)
        except CorpusError:
            return None
        if corpus.sha256 != corpus_sha256 or line >= len(corpus.test):
            return None
        from PIL import Image

        encoded = io.BytesIO()
        Image.fromarray(corpus.test.images[line]).save(encoded, "WEBP", quality=50)
        return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode()}"

    return picture
