"""Experiments on causes: the numbers by hand, what switching a cause off gives; and LoadGen."""

import sys

import numpy as np
import pytest

from crnn import registry
from crnn.measure.workload import Workload
from crnn.scaling import causes, serve
from crnn.scaling.causes import CAUSES, found, gain, growth, unsaved
from crnn.scaling.service import Policy
from crnn.scaling.times import ScalingError
from crnn.tests.test_training import lines


class TestNumbers:
    def test_growth(self):
        """Time per line at the largest size, against the best one."""
        assert growth({1: 3.0, 4: 4.0, 8: 16.0}) == pytest.approx(2.0)

    def test_gain(self):
        """Time per line at the smallest size, against the largest."""
        assert gain({1: 3.0, 8: 8.0}) == pytest.approx(3.0)
        assert unsaved({1: 3.0, 8: 8.0}) == pytest.approx(1 / 3)


class TestExperiments:
    def test_each_row_exists(self):
        """Every experiment names rows of the registry; four engines have one at least."""
        names = [way.row for cause in CAUSES for way in (cause.there, cause.off)]

        assert [name for name in names if name not in registry.names()] == []
        assert len({cause.engine for cause in CAUSES}) >= 4

    def test_the_sides_differ_in_one_thing(self):
        """With and without the cause, one of row, environment, threads and calls differs, and nothing else."""
        differing = {
            cause.name: [
                name
                for name in ("row", "environment", "threads", "split")
                if getattr(cause.there, name) != getattr(cause.off, name)
            ]
            for cause in CAUSES
        }

        assert {name: len(different) for name, different in differing.items()} == dict.fromkeys(differing, 1)

    def test_a_cause_that_explains(self):
        """A number that falls when the cause is switched off shrinks; the interval is over pairs of processes."""
        [cause] = [one for one in CAUSES if one.name == "allocator"]
        kept = {
            "sizes": [1, 8],
            "seconds": {"there": [[1.0, 16.0], [1.0, 16.2], [1.0, 15.8]], "off": [[1.0, 8.1], [1.0, 8.0], [1.0, 8.2]]},
        }

        result = found(cause, kept)

        assert (round(result.there.value, 2), round(result.off.value, 2)) == (2.0, 1.01)
        assert result.shrinks

    def test_a_cause_that_does_not(self):
        """A number that stays does not shrink."""
        [cause] = [one for one in CAUSES if one.name == "allocator"]
        same = [[1.0, 16.0], [1.0, 16.2], [1.0, 15.8]]

        assert not found(cause, {"sizes": [1, 8], "seconds": {"there": same, "off": same[::-1]}}).shrinks

    def test_split_calls(self):
        """A batch of 32 lines in calls of 8 is four calls; a smaller one is a call of its own."""
        way = causes.Way("calls of 8 lines", "ov-fp32", split=8)

        assert [causes._calls(way, size) for size in (4, 8, 32)] == [(4, 1), (8, 1), (8, 4)]


class TestLoadGen:
    def test_lines_are_served(self):
        """LoadGen's percentile of an engine whose calls take a millisecond is at least that."""
        pytest.importorskip("mlperf_loadgen")

        p99 = serve.served_p99_s(Workload("steady", "crnn.tests.steady_runtime"), lines(16, 1), 100.0, Policy(4), 1.0)

        assert 0.001 <= p99 < 1

    def test_not_installed(self, monkeypatch):
        """Without LoadGen the message says what to install."""
        monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)

        with pytest.raises(ScalingError, match="LoadGen is not installed: pip install mlcommons-loadgen"):
            serve.loadgen()

    def test_what_calls_tell(self):
        """Between the measured sizes t(n) is a straight line; single calls vary around it."""
        seconds, factors = serve.measured([{1: [0.002, 0.002, 0.003], 4: [0.008] * 3}])

        assert float(seconds(np.array(2))) == pytest.approx(0.004)
        assert sorted(factors.tolist()) == pytest.approx([1.0, 1.0, 1.0, 1.0, 1.0, 1.5])
