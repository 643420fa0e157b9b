"""Whether full runs confirm each other."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.evidence import coverage

ROOT = Path(__file__).parents[2]


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
