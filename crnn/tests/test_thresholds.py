"""The registry's thresholds, checked against the committed baseline."""

import pytest

from crnn.optimize.studies.baseline import measured
from crnn.registry import VARIANTS
from crnn.registry.variant import SLACK, Thresholds

BASELINE = measured()
ROWS = [row for row in VARIANTS if row.name in BASELINE]


def measurements(row):
    """The measured value for each threshold that has a slack; None if it was not measured."""
    found = BASELINE[row.name]
    accuracy, footprint, latencies = found.accuracy, found.footprint, found.latencies.values()
    # A run compares the lines that its calls happen to read; the threshold is for all of them.
    shares = [
        latency.timed_lines_compared_count
        and latency.timed_lines_read_differently_count / latency.timed_lines_compared_count
        for latency in latencies
    ]
    return {
        "max_bytes": footprint.file_bytes,
        "max_peak_memory_bytes": footprint.peak_memory_bytes,
        "max_nonzero_parameters": footprint.parameters_nonzero_count,
        "max_cer": accuracy.cer_fraction,
        "max_cer_difference": accuracy.cer_difference_to_original_fraction,
        "max_log_prob_difference": accuracy.log_prob_difference_to_parent_nats,
        "max_timed_difference": max(latency.timed_answers_log_prob_difference_nats for latency in latencies),
        "max_lines_read_differently": None if None in shares else max(shares) * found.accuracy.line_edits.size,
    }


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_no_threshold_is_looser_than_its_slack(row):
    """Each threshold is at most its stated slack above the measured value."""
    found = measurements(row)
    limits = {name: getattr(row.thresholds, name) for name in SLACK}
    loose = {
        name: (limit, found[name])
        for name, limit in limits.items()
        if limit is not None and found[name] is not None and not SLACK[name].allows(limit, found[name])
    }

    assert loose == {}


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_counts_are_exact(row):
    """The thresholds for parameters and MACs equal the measured counts."""
    footprint = BASELINE[row.name].footprint

    assert row.thresholds.parameters == footprint.parameters_stored_count
    assert row.thresholds.macs == footprint.multiply_adds_per_line_count


def test_every_threshold_has_a_slack_or_is_exact():
    """Every threshold either has a slack or is exact."""
    exact = {"parameters", "macs"}

    assert set(Thresholds.__dataclass_fields__) == set(SLACK) | exact | {"gate"}


def test_a_row_that_was_measured_has_a_memory_limit():
    """Only rows that the maintainers' machine cannot run lack the limit; a row of the baseline must have it."""
    assert [row.name for row in ROWS if row.unmeasured] == []
