"""Pictures of lines in the page."""

from types import SimpleNamespace

import numpy as np
import pytest

from crnn.report.page.pictures import pictures
from crnn.report.results import ReportError


def test_the_corpus_is_read_once(monkeypatch):
    """The pictures of all lines come from one reading of the test split."""
    opened = []
    corpus = SimpleNamespace(sha256="one", test=SimpleNamespace(images=np.zeros((2, 32, 400), np.uint8)))
    monkeypatch.setattr("crnn.report.page.pictures.open_corpus", lambda folder: opened.append(folder) or corpus)

    picture = pictures("one")
    assert [(picture(line) or "").split(",")[0] for line in range(3)] == [*["data:image/webp;base64"] * 2, ""]
    assert opened == [None]


def test_another_corpus_has_no_pictures(monkeypatch):
    """A corpus that has changed since the run gives no pictures."""
    monkeypatch.setattr("crnn.report.page.pictures.open_corpus", lambda _: SimpleNamespace(sha256="one"))

    assert pictures("other")(0) is None


def test_a_users_corpus_has_pictures():
    """Lines of a corpus that is named are shown; another one than the run read is an error."""
    corpus = SimpleNamespace(name="own", sha256="one", test=SimpleNamespace(images=np.zeros((2, 32, 64), np.uint8)))

    assert (pictures("one", corpus)(1) or "").startswith("data:image/webp;base64,")
    with pytest.raises(ReportError, match="--corpus own: the run read other lines, or the same at another"):
        pictures("other", corpus)
