"""The gate of a session: what is missing, and what this machine's processor cannot run."""

import pytest

from crnn.gate.runs import read
from crnn.gate.selection import Asked, Outcomes
from crnn.gate.session import Gate
from crnn.measure.records import measured
from crnn.tests.saved_runs import (
    ACCURACY,
    DEPLOYMENT,
    DEPLOYMENT_INFO,
    FOOTPRINT,
    GATE,
    LATENCY,
    STRICTNESS,
    run,
    write,
)

ALL = {ACCURACY, FOOTPRINT, LATENCY, GATE, DEPLOYMENT}
REASON = "no kernels for this processor"


@pytest.fixture
def missing(tmp_path):
    """Search for what is missing in a run that measured nothing; returns the tests and the gate's notes."""

    def missing(machine, unsupported):
        content = run()
        content["machine_info"]["fingerprint"] |= machine
        asked = Asked(("*",), (), (1,), "cpu", None, quick=False)
        outcomes = Outcomes(asked, lambda _: True, unsupported=unsupported)
        gate = Gate({}, read(write(tmp_path / "baseline.json", content)), strict=STRICTNESS, any_machine=True)
        return {verdict.test for verdict in gate.missing(outcomes)}, gate.notes

    return missing


def test_a_row_without_a_result_is_missing(missing):
    """Each of its benchmarks is named."""
    assert missing({}, {}) == (ALL, [])


def test_a_row_that_another_processor_ran_is_not_missing(missing):
    """The notes say that it was not run here, and why."""
    tests, notes = missing({"cpu": "another"}, {"torch-original": REASON})

    assert (tests, notes[1]) == (set(), f"not run here: torch-original: {REASON}")


def test_a_row_that_no_machine_of_ours_runs_is_not_left_out():
    """Its skipped tests do not keep a run from becoming a baseline; those of other rows do."""
    outcomes = Outcomes(None, bool, skipped={"a", "b"}, deselected={"c"}, unmeasured={"b"})

    assert outcomes.left_out == 2


def test_a_row_that_this_machine_ran_before_is_missing(missing):
    """On the machine of the baseline nothing excuses it: a wrong check of the processor would hide the row."""
    assert missing({}, {"torch-original": REASON})[0] == ALL


def test_a_baseline_measures_longer_for_calls_only():
    """Pairs are added until calls resolve their limits, not for loading and first calls."""
    entry = measured(DEPLOYMENT_INFO)

    assert Gate({}).allowed(entry.identity, entry.record) == {
        "deployed_ratios": 0.15,
        "deployed_largest_ratios": 0.15,
    }


def test_the_anchor_s_pace_is_the_baseline_s(tmp_path):
    """A run waits for calls as fast as those of its baseline; a benchmark that the baseline lacks has no pace."""
    content = run(deployment=DEPLOYMENT_INFO | {"deployed_anchor_s": 0.0015})
    gate = Gate({}, read(write(tmp_path / "baseline.json", content)))

    assert [gate.anchor_s(test) for test in (DEPLOYMENT, GATE, "other")] == [0.0015, None, None]
