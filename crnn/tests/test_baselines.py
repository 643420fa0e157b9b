"""What can become a baseline, and how a baseline is stored."""

import json

import numpy as np
import pytest

from crnn.gate.runs import PINNED, ROLLING, faults, promote, read
from crnn.measure.packing import pack, unpack
from crnn.tests.saved_runs import GATE_INFO, run, write


class TestPromote:
    def test_writes_without_raw_seconds(self, tmp_path):
        """A baseline keeps statistics and errors per line, but no raw timings: they would only take space."""
        written = promote(read(write(tmp_path / "run.json", run())), tmp_path / "baselines", (ROLLING, PINNED))

        assert [path.name for path in written] == [ROLLING, PINNED]
        assert "data" not in json.loads(written[0].read_text())["benchmarks"][0]["stats"]
        assert read(written[1]).benchmarks == read(tmp_path / "run.json").benchmarks

    @pytest.mark.parametrize(
        ("session", "fault"),
        [
            ({"failed": ["benchmarks/x.py::y"]}, "benchmarks/x.py::y failed"),
            ({"quick": True}, "a --quick run"),
            ({"interrupted": True}, "interrupted"),
            ({"left_out": 3}, "3 of the suite's benchmarks left out"),
        ],
        ids=["failed", "quick", "interrupted", "partial"],
    )
    def test_names_why_a_run_is_unfit(self, tmp_path, session, fault):
        """A failed, interrupted, partial or ``--quick`` run cannot become a baseline."""
        content = run()
        content["crnn"] |= session

        assert faults(read(write(tmp_path / "run.json", content))) == [fault]

    def test_a_run_that_stopped_early_is_unfit(self, tmp_path):
        """A compared run that stopped early has too few process pairs to become a baseline."""
        content = run(gate=GATE_INFO | {"gate_ratios": [1.0, 1.0]})

        assert ": 2 process pairs of 8" in faults(read(write(tmp_path / "run.json", content)))[0]

    def test_a_sound_run_is_fit(self, tmp_path):
        """A complete run without failures can become a baseline."""
        assert faults(read(write(tmp_path / "run.json", run()))) == []


class TestCompact:
    def test_round_trip(self):
        """Unpacked arrays equal the packed ones."""
        array = np.random.default_rng(1).normal(size=100).astype(np.float32)

        assert unpack(pack(array)).tolist() == array.tolist()
