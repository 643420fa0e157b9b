"""Whether full runs confirm each other, recomputed from the ratios in ``benchmarks/evidence/runs``."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.evidence import coverage

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs():
    """What was kept of each run, in chronological order."""
    kept = [json.loads(path.read_text("utf-8")) for path in (ROOT / "benchmarks" / "evidence" / "runs").glob("*.json")]
    return sorted(kept, key=lambda run: run["started"])


@pytest.fixture(scope="module")
def agreement(runs):
    """How far they confirm each other."""
    return coverage.agreement([coverage.ratios(run) for run in runs])


def share(cases):
    """The share of the cases that hold."""
    return sum(cases) / len(cases)


class TestRuns:
    def test_three_at_least_an_hour_apart(self, runs):
        """Nothing that lasts less than an hour can make the runs agree."""
        starts = [datetime.fromisoformat(run["started"]) for run in runs]

        assert len(starts) == 3
        assert min(later - earlier for earlier, later in pairwise(starts)) >= timedelta(hours=1)

    def test_one_machine_and_three_orders(self, runs):
        """The runs are on one machine; their rows come in different orders."""
        assert [run["fingerprint"] for run in runs] == [runs[0]["fingerprint"]] * 3
        assert len({run["order_seed"] for run in runs}) == 3

    def test_same_rows(self, runs):
        """Each run measured the same rows at the same batch sizes, in three processes or more."""
        cases = [{(entry["variant"], entry["batch_size"]) for entry in run["latencies"]} for run in runs]

        assert cases == [cases[0]] * 3
        assert min(len(entry["anchor_ratios"]) for run in runs for entry in run["latencies"]) == 3


class TestAgreement:
    def test_intervals_overlap(self, agreement):
        """At least 95 % of the speed-up intervals, at batch 1 and at the largest batch, overlap pairwise."""
        assert share(agreement.overlaps) >= 0.95

    def test_later_estimates_are_expected(self, agreement):
        """At least 90 % of later estimates lie in the first interval, widened by the square root of two."""
        assert share(agreement.confirmed) >= 0.9

    def test_no_verdict_where_the_truth_is_one(self, agreement):
        """Rows that do another row's work get a verdict in at most 5 % of their cases."""
        assert agreement.wrong / len(agreement.verdicts) <= 0.05


class TestComparing:
    """The figures can be missed: made-up runs that disagree."""

    @pytest.mark.parametrize(
        ("later", "overlaps", "confirmed"),
        [([1.0, 1.01, 1.02], True, True), ([2.0, 2.02, 2.04], False, False)],
    )
    def test_disagreement_shows(self, later, overlaps, confirmed):
        """A row that takes twice as long in a second run is found."""
        reference = {("torch-original", 1): [2.0, 2.01, 2.02]}
        runs = [reference | {("row", 1): ratios} for ratios in ([1.0, 1.01, 1.02], later)]

        assert coverage.agreement(runs) == ([overlaps], [confirmed], [])

    def test_false_verdicts_count(self):
        """A row of the reference's work that is shown to be slower is a false verdict."""
        runs = [{("torch-original", 1): [1.0, 1.01, 1.02], ("torch-clustered-16", 1): [2.0, 2.01, 2.02]}]

        assert coverage.agreement(runs).wrong == 1


@pytest.mark.parametrize("name", ["accuracy", "collect", "costs", "coverage"])
def test_commands_start(name):
    """The documented commands find the package."""
    command = [sys.executable, "-m", f"benchmarks.evidence.{name}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
