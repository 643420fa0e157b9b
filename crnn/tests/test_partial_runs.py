"""A run that read only the first lines is compared on these lines with a baseline that read all."""

import numpy as np
import pytest

from crnn.gate.compare import compare
from crnn.gate.measures import limits_of
from crnn.measure.packing import pack
from crnn.tests.saved_runs import ACCURACY, CHARACTERS, EDITS, accuracy

FIRST = 100


@pytest.fixture
def word():
    """Compare the CER of the first lines, with the given edits, with the whole baseline."""

    def word(edits, baseline=EDITS):
        part = accuracy() | {
            "lines_count": len(edits),
            "line_edits": pack(edits),
            "line_characters": pack(np.full(len(edits), CHARACTERS, np.uint16)),
            "line_losses_nats": pack(np.full(len(edits), 0.3, np.float32)),
        }
        verdicts = compare(ACCURACY, accuracy(baseline), part, limits_of({}, {}))
        return {verdict.measure: verdict.word for verdict in verdicts}

    return word


def test_the_same_lines_are_the_same(word):
    """Unchanged outputs for the first lines are the same, although the other lines have another CER."""
    later_errors = EDITS.copy()
    later_errors[FIRST:] = 3

    assert word(EDITS[:FIRST], later_errors) == {"cer": "same", "loss": "same"}


def test_a_loss_in_the_first_lines_is_seen(word):
    """More edits in the first lines are worse, although the baseline's other lines are worse still."""
    later_errors, worse = EDITS.copy(), EDITS[:FIRST].copy()
    later_errors[FIRST:] = 3
    worse[::4] += 1

    assert word(worse, later_errors)["cer"] == "worse"
