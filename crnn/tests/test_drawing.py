"""Styles of fresh lines: the whole text stays in the picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.corpus import drawing
from crnn.corpus.drawing import _any_style, _font, _length, _Style, _written
from crnn.corpus.synthetic import TYPEFACES, _font_path

FONT = _font_path("font_roboto", TYPEFACES["font_roboto"][0])
SHAPE, START = (800, 64), (100, 44)

styles = st.builds(_Style, st.floats(0.7, 1.4), st.floats(-0.05, 0.15), st.sampled_from([-1, 0, 1]))


def written(text, style, size=40):
    """A text's ink at twice the final size, uint8 (64, 800)."""
    return np.asarray(_written(SHAPE, START, text, _font(FONT, size), size, style))


def edges(ink):
    """First and last column with ink."""
    inked = np.flatnonzero(ink.max(0) > 60)
    return int(inked[0]), int(inked[-1])


@settings(deadline=None)
@given(styles, st.sampled_from([20, 34, 52]), st.sampled_from(["МАЙКОП", "Н", "25.01.1937", "ОТДЕЛОМ МИЛИЦИИ МАЙКОП"]))
def test_a_text_ends_where_its_length_says(style, size, text):
    """The ink of the last letter is there, and ends at the text's stretched length, which must fit the picture."""
    length = style.stretch * _length(text, _font(FONT, size), size, style)
    if length > SHAPE[0] - START[0] - 4:
        return
    first, last = edges(written(text, style, size))

    assert first == pytest.approx(START[0], abs=0.16 * size + 2)
    assert last == pytest.approx(START[0] + length, abs=0.16 * size + 2)


@pytest.mark.parametrize(("narrow", "wide"), [(0.7, 1.0), (1.0, 1.4)])
def test_stretch(narrow, wide):
    """A text's width is proportional to the stretch."""
    widths = [np.diff(edges(written("МАЙКОП", _Style(stretch))))[0] for stretch in (narrow, wide)]

    assert widths[1] / widths[0] == pytest.approx(wide / narrow, rel=0.03)


def test_letters_one_by_one():
    """Letters that are placed one by one, without space, stand where the typeface sets them."""
    together, single = (edges(written("МАЙКОП", _Style(tracking=space))) for space in (0, 1e-9))

    assert np.abs(np.subtract(together, single)).max() <= 1


@pytest.mark.parametrize("size", [20, 52])
def test_weight(size):
    """Bolder strokes hold more ink, thinner ones less, and those of a small light font do not vanish."""
    thin, own, bold = (written("МАЙКОП", _Style(weight=weight), size) for weight in (-1, 0, 1))

    assert bold.sum() > 1.15 * own.sum()
    assert own.sum() > 1.1 * thin.sum()
    assert thin.max() > 60


def test_styles_vary():
    """Drawn styles differ, and are within their bounds."""
    drawn = [_any_style(np.random.default_rng(seed)) for seed in range(200)]

    assert len({style.stretch for style in drawn}) > 150
    assert {style.weight for style in drawn} == {-1, 0, 1}
    assert all(0.7 <= style.stretch <= 1.4 and -0.05 <= style.tracking <= 0.15 for style in drawn)


def test_lines_of_the_splits_have_the_typefaces_own_style(monkeypatch):
    """Without ``any_style``, no style is drawn."""
    monkeypatch.setattr(drawing, "_any_style", lambda _: pytest.fail("a style was drawn"))

    assert drawing.draw_line(np.random.default_rng(1), "МАЙКОП", FONT)
