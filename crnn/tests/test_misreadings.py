"""Worst lines and confusions between characters."""

from hypothesis import given
from hypothesis import strategies as st

from crnn.measure.misreadings import alignment, confusions, worst_lines
from crnn.text import edit_distance, edits

TEXTS = st.text("АБВ", max_size=8)


@given(TEXTS, TEXTS)
def test_an_alignment_spells_both_with_the_fewest_edits(label, text):
    """Both sides are spelled in order, and as many pairs differ as the distance says."""
    pairs = alignment(label, text)

    assert ("".join(one for one, _ in pairs), "".join(other for _, other in pairs)) == (label, text)
    assert sum(one != other for one, other in pairs) == edit_distance(label, text)


def test_substitutions_are_aligned():
    """A character that was read as another stands beside it, a lost one beside nothing."""
    assert alignment("З0А", "30") == [("З", "3"), ("0", "0"), ("А", "")]


def test_worst_lines():
    """Lines with more edits come first, lines that were read right not at all."""
    labels, texts = ["АБ", "А", "АБВ", "В"], ["А", "Б", "ВВ", "В"]

    assert worst_lines(edits(labels, texts), labels, texts) == [
        {"line": 2, "label": "АБВ", "text": "ВВ", "edits": 2},
        {"line": 0, "label": "АБ", "text": "А", "edits": 1},
        {"line": 1, "label": "А", "text": "Б", "edits": 1},
    ]


def test_confusions():
    """Each pair of characters is counted over all lines, the most frequent first."""
    labels, texts = ["З0", "З1", "О"], ["30", "31", "О1"]

    assert confusions(labels, texts) == [("З", "3", 2), ("", "1", 1)]
