"""Labels, the decoder and CER."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from crnn.corpus.labels import FIELD_ALPHABET
from crnn.corpus.lines import DIGITS, LETTERS
from crnn.corpus.synthetic import field_test_split
from crnn.interface import BUILT_IN
from crnn.text import BLANK, best_path, character_error_rate, decode, edits, encode, time_steps_needed

field_texts = st.text(FIELD_ALPHABET, max_size=30)


def collapse(path):
    """Slow reference: collapse repeats, then drop blanks, symbol by symbol."""
    collapsed = []
    for symbol in path:
        if not collapsed or collapsed[-1] != symbol:
            collapsed.append(symbol)
    return [symbol for symbol in collapsed if symbol != BLANK]


def log_probs_of(paths, classes):
    """Return log probabilities with the given best paths."""
    return np.log(np.eye(classes)[np.array(paths)] * 0.9 + 0.1 / classes)


class TestLabels:
    def test_field_alphabet_has_45_characters(self):
        """The alphabet is space, hyphen, full stop, ten digits and А-Я without Ё."""
        assert (len(FIELD_ALPHABET), len(set(FIELD_ALPHABET)), "Ё" in FIELD_ALPHABET) == (45, 45, False)

    def test_labels_of_the_field_corpus(self):
        """Labels use all 45 characters, have at most 30, fit in 50 time steps, and match their kind."""
        lines = field_test_split()
        pairs = list(zip(lines.labels, lines.kinds, strict=True))

        assert set("".join(lines.labels)) == set(FIELD_ALPHABET)
        assert max(map(len, lines.labels)) <= 30
        assert max(map(time_steps_needed, lines.labels)) <= BUILT_IN.time_steps
        assert not [label for label, kind in pairs if kind == DIGITS and any(c.isalpha() for c in label)]
        assert not [label for label, kind in pairs if kind == LETTERS and any(c.isdigit() for c in label)]

    @given(st.lists(field_texts, max_size=5))
    def test_round_trip(self, labels):
        """Encoding and decoding returns the labels as written."""
        classes, lengths = encode(labels, FIELD_ALPHABET)

        actual = [decode(row[:length], FIELD_ALPHABET) for row, length in zip(classes, lengths, strict=True)]
        assert actual == labels

    def test_blank_is_class_zero(self):
        """Padding is the blank, and the first character is class 1."""
        assert encode(["б", "аб"], "аб")[0].tolist() == [[2, 0], [1, 2]]

    def test_unknown_character_is_named(self):
        """A character outside the alphabet is an error that names it and its label."""
        with pytest.raises(ValueError, match="'1Я' has 'Я'"):
            encode(["1Я"], "1")

    @pytest.mark.parametrize(("label", "steps"), [("", 0), ("1", 1), ("12", 2), ("11", 3), ("1112", 6)])
    def test_time_steps(self, label, steps):
        """A repeated character needs a blank before it."""
        assert time_steps_needed(label) == steps


class TestBestPath:
    @pytest.mark.parametrize("length", range(1, 7))
    def test_agrees_with_slow_reference_on_all_short_paths(self, length):
        """Every path of up to six steps over blank and two characters decodes as in the reference."""
        paths = list(itertools.product(range(3), repeat=length))

        expected = [decode(collapse(path), "аб") for path in paths]
        assert best_path(log_probs_of(paths, 3), "аб") == expected

    def test_repeats_with_a_blank_between_are_kept(self):
        """The text "11" is two characters."""
        assert best_path(log_probs_of([[1, 0, 1, 1]], 3), "1Я") == ["11"]

    @given(field_texts.filter(lambda text: 0 < time_steps_needed(text) <= 50))
    def test_reads_any_label_that_fits(self, label):
        """The path of a label, with a blank between equal neighbours, decodes to that label."""
        [classes], [length] = encode([label], FIELD_ALPHABET)
        path = [
            step
            for index, symbol in enumerate(classes[:length])
            for step in ([BLANK] if index and symbol == classes[index - 1] else []) + [symbol]
        ]

        assert best_path(log_probs_of([path], 46), FIELD_ALPHABET) == [label]


class TestCharacterErrorRate:
    @pytest.mark.parametrize(
        ("reference", "text", "expected"),
        [
            ("11.02.1990", "11.02.1990", 0),
            ("11", "1", 1),
            ("ИВАНОВ", "ИВАНОВА", 1),
            ("ПЕТРОВ", "ПЕТРОБ", 1),
            ("123-456", "", 7),
            ("", "12", 2),
            ("КОТ", "ТОК", 2),
            ("ABCD", "BCDA", 2),
        ],
    )
    def test_edits(self, reference, text, expected):
        """Insertions, deletions and substitutions cost 1 each."""
        assert edits([reference], [text]).tolist() == [expected]

    @given(st.text("аб", max_size=8), st.text("аб", max_size=8))
    def test_edits_are_those_of_rapidfuzz(self, one, other):
        """The distance equals that of an independent library."""
        assert edits([one], [other]).tolist() == [Levenshtein.distance(one, other)]

    def test_sums_before_it_divides(self):
        """CER is total edits over total characters of the split, not a mean over lines."""
        assert character_error_rate(["1", "123456789"], ["2", "123456789"]) == 0.1

    def test_needs_characters(self):
        """Without a reference character there is no CER."""
        with pytest.raises(ValueError, match="at least one"):
            character_error_rate([""], ["1"])

    @given(st.text("01-", max_size=12), st.text("01-", max_size=12))
    def test_is_symmetric_and_bounded(self, one, other):
        """Edits are symmetric, zero only for equal texts, and between the length difference and the larger length."""
        there, back = edits([one], [other])[0], edits([other], [one])[0]

        assert there == back
        assert (there == 0) == (one == other)
        assert abs(len(one) - len(other)) <= there <= max(len(one), len(other))

    @given(*[st.text("01-", max_size=8)] * 3)
    def test_obeys_the_triangle_inequality(self, one, two, three):
        """The distance through a third text is never shorter."""
        assert edits([one], [three])[0] <= edits([one], [two])[0] + edits([two], [three])[0]
