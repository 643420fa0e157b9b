"""Limits and thresholds that a change loosens."""

from dataclasses import replace

import pytest

from crnn.gate import strictness as module
from crnn.gate.strictness import loosened, strictness
from crnn.registry import VARIANTS

SIZES = (1, 32, 128)
BEFORE = strictness(VARIANTS, SIZES)
FIRST = VARIANTS[0]


def with_first(**thresholds):
    """The registry's strictness with other thresholds of the first row."""
    return strictness([replace(FIRST, thresholds=replace(FIRST.thresholds, **thresholds)), *VARIANTS[1:]], SIZES)


def subjects(after):
    """Names of what is looser than now."""
    return [verdict.subject for verdict in loosened(BEFORE, after)]


def test_the_same_suite_is_as_strict():
    """Nothing is looser than itself."""
    assert loosened(BEFORE, BEFORE) == []


@pytest.mark.parametrize(
    ("thresholds", "subject"),
    [
        ({"max_bytes": FIRST.thresholds.max_bytes + 1}, f"{FIRST.name}.max_bytes"),
        ({"max_peak_memory_bytes": None}, f"{FIRST.name}.max_peak_memory_bytes"),
        ({"max_cer": 1.0}, f"{FIRST.name}.max_cer"),
        ({"max_cer_difference": 1.0}, f"{FIRST.name}.max_cer_difference"),
        ({"max_timed_difference": 1.0}, f"{FIRST.name}.max_timed_difference"),
        ({"max_lines_read_differently": 1}, f"{FIRST.name}.max_lines_read_differently"),
        ({"gate": {"relative_latency": "off"}}, f"{FIRST.name}.gate.relative_latency"),
        ({"gate": {"relative_latency": "6%"}}, f"{FIRST.name}.gate.relative_latency"),
        ({"gate": {"cer": "0.1%"}}, f"{FIRST.name}.gate.cer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_looser_threshold_is_named(thresholds, subject):
    """A higher or missing threshold and a larger, absent or incomparable limit are named with their row."""
    assert subjects(with_first(**thresholds)) == [subject]


@pytest.mark.parametrize(
    "thresholds",
    [{"max_bytes": 1}, {"max_cer": 0.0}, {"gate": {"relative_latency": "4%"}}, {"max_nonzero_parameters": 5}],
    ids=str,
)
def test_a_stricter_threshold_is_welcome(thresholds):
    """Lower or additional thresholds and smaller limits are no verdict."""
    assert subjects(with_first(**thresholds)) == []


def test_an_edited_default_is_named_for_each_row():
    """A default limit that is edited counts for every row without a limit of its own."""
    after = strictness(VARIANTS, SIZES)
    after["limits"]["cer"] = "0.2 pp"

    assert subjects(after) == [f"{row.name}.gate.cer" for row in VARIANTS if "cer" not in row.thresholds.gate]


def test_a_row_that_is_no_longer_watched_is_named():
    """A row without process pairs loses its latency verdicts."""
    watched = next(row for row in VARIANTS if row.watched)
    rows = [replace(row, watched=False) if row is watched else row for row in VARIANTS]

    assert subjects(strictness(rows, SIZES)) == [f"{watched.name}.watched"]


def test_a_batch_size_less_by_default_is_named():
    """Without a batch size in the defaults, its verdicts are no longer due."""
    assert [str(verdict) for verdict in loosened(BEFORE, strictness(VARIANTS, (1, 32)))] == [
        "defaults: batch_sizes loosened, 1, 32, 128 -> 1, 32 (without 128), against baseline"
    ]


def test_a_row_that_is_gone_is_not_looser():
    """Rows that only one side has are missing or new, which other verdicts say."""
    assert subjects(strictness(VARIANTS[1:], SIZES)) == []


def test_every_threshold_is_an_upper_bound_or_known():
    """A threshold of another kind has to be listed, or a lower value would count as stricter."""
    assert module._OTHER | {name for name in FIRST.thresholds.__dataclass_fields__ if name.startswith("max_")} == set(
        FIRST.thresholds.__dataclass_fields__
    )
