"""Blocks at a slow pace: they are measured again, and slowdowns that only they show do not count."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from crnn.gate.runs import compare_runs, read
from crnn.gate.session import Gate
from crnn.measure.latency import Plan, Side, run_pairs, warm_up
from crnn.measure.pace import KIND, SLOW, Pace, Probe
from crnn.measure.records import measured
from crnn.tests.saved_runs import GATE, GATE_INFO, run, write
from crnn.tests.test_latency import PretendedWorker
from fixtures.measurements import keep_pairs
from fixtures.sittings import FIRST

PLAN = Plan(warmup_s=0.001, pairs=4, block_s=0.001, repeats=4)
PLAN_WITHOUT_REPEATS = replace(PLAN, repeats=0)


def timed(anchor, plan=PLAN, pace=None, patience_s=5.0, *, alike=False):
    """Time a variant beside an anchor whose calls take these seconds, then one second each.

    Returns:
        What disturbed it, and the seconds of the anchor's blocks.
    """
    sides = [Side(PretendedWorker("variant", itertools.repeat(1.0), []), 1)]
    sides.append(Side(PretendedWorker("anchor", itertools.chain([1.0] * 2, anchor, itertools.repeat(1.0)), []), 1))
    warm_up(sides, plan)
    found = run_pairs(sides, plan, Probe(sides[1], pace or Pace(), "anchor", True, alike, patience_s))
    return found, [block[0] for block in sides[1].blocks]


class TestPace:
    @given(st.lists(st.floats(0.001, 10), min_size=1))
    def test_a_call_is_slow_beside_the_fastest_so_far(self, seconds):
        """A call is slow if it takes 1.2 times the fastest so far, or more; the fastest never is."""
        pace = Pace()
        found = [pace.is_slow("anchor", call) for call in seconds]

        assert found == [call > SLOW * min(seconds[: i + 1]) for i, call in enumerate(seconds)]
        assert pace.fastest_s("anchor") == min(seconds)

    def test_different_calls_are_told_apart(self):
        """A fast engine makes no other engine's calls slow."""
        pace = Pace()
        pace.expect("fast", 0.001)

        assert pace.is_slow("other", 0.01) is False

    def test_an_earlier_run_s_pace_counts(self):
        """What a baseline's anchor took is fast in this run too."""
        pace = Pace()
        pace.expect("anchor", 1.0)

        assert pace.is_slow("anchor", 1.3) is True


class TestProbe:
    def test_a_steady_machine_disturbs_nothing(self):
        """Where the anchor's calls take as long as before, each pair is measured once."""
        found, anchors = timed([])

        assert (found.remeasured, found.kept, anchors) == (0, {}, [1.0] * 4)

    def test_a_pair_before_a_slow_call_is_measured_again(self):
        """A pair is discarded if the anchor's call after it is slow; the next one waits until it is fast."""
        fast_probe, pair, slow_probe = 1.0, 1.0, 2.0
        found, anchors = timed([fast_probe, pair, slow_probe, 2.0, 2.0, 1.0, 1.0])

        assert (found.remeasured, found.kept, anchors) == (1, {}, [1.0] * 4)

    def test_a_slow_start_is_waited_for(self):
        """If an earlier run's anchor was faster, nothing is timed until this one is fast too."""
        pace = Pace()
        pace.expect("anchor", 1.0)
        found, anchors = timed([1.5] * 10, pace=pace)

        assert (found.remeasured, found.kept, anchors) == (0, {}, [1.0] * 4)

    def test_a_machine_that_stays_slow_is_measured_and_marked(self):
        """Where waiting does not help, pairs are kept, and marked as disturbed."""
        pace = Pace()
        pace.expect("anchor", 0.5)
        found, anchors = timed([], pace=pace, patience_s=0.01)

        assert (found.remeasured, found.kept, anchors) == (PLAN.repeats, dict.fromkeys(range(4), (KIND,)), [1.0] * 4)

    def test_models_of_one_kind_are_measured_at_a_slow_pace_that_lasts(self):
        """Where both are slowed down alike, nothing is waited for, and no pair is discarded."""
        pace = Pace()
        pace.expect("anchor", 1.0)
        found, anchors = timed([1.5] * 9, pace=pace, alike=True)

        assert (found.remeasured, found.kept, anchors) == (0, {}, [1.5] * 4)

    def test_a_change_of_pace_disturbs_models_of_one_kind(self):
        """A pair of blocks in which the pace changes is measured again: one model had more of it than the other."""
        fast_probe, pair, slow_probe = 1.0, 2.0, 2.0
        found, anchors = timed([fast_probe, pair, slow_probe, *[2.0] * 8], alike=True)

        assert (found.remeasured, found.kept, anchors) == (1, {}, [2.0] * 4)

    def test_waiting_ends_for_the_whole_run(self):
        """Once the run's patience is spent, no process waits: the first slow call is followed by a pair."""
        pace = Pace(patience_s=0.0)
        pace.expect("anchor", 1.0)
        found, anchors = timed([1.5] * 3, PLAN_WITHOUT_REPEATS, pace)

        assert (found.remeasured, found.kept, anchors) == (0, {0: (KIND,), 1: (KIND,)}, [1.5, 1.0, 1.0, 1.0])

    def test_waiting_is_taken_from_the_run_s_patience(self, monkeypatch):
        """Waiting within what is measured again counts once."""
        monkeypatch.setattr("crnn.measure.pace.time", SimpleNamespace(monotonic=iter([0.0, 1.0, 3.0, 4.0]).__next__))
        pace = Pace(patience_s=100.0)
        with pace.waiting():
            with pace.waiting():
                pass
            inner = pace.patience_s

        assert (inner, pace.patience_s) == (98.0, 96.0)


def test_a_slowdown_while_the_machine_was_slow_is_unclear(tmp_path):
    """A slowdown in pairs of which most were measured at a slow pace does not count: another try has to show it."""
    slow = {"gate_ratios": [1.1, 1.11, 1.1, 1.105], "gate_disturbed_pairs_count": 3}
    saved = (run(), run(gate=GATE_INFO | slow))
    runs = [read(write(tmp_path / f"{i}.json", content)) for i, content in enumerate(saved)]
    found = {(v.word, v.reason) for v in compare_runs(*runs, {}) if v.measure == "relative_latency"}

    assert found == {
        ("inconclusive", "4 process pairs, 3 of them while the machine was slower than it can be: measure again")
    }


class PretendedMeter:
    """Gives steady pairs, and notes the pace that it is told to expect."""

    expected = None

    def __init__(self, *_):
        self.seconds = []

    def expect(self, anchor_s):
        type(self).expected = anchor_s

    def next_ratios(self):
        return {"gate_ratios": 1.0}

    def record(self, screen=(), confirmation=(), direct=None):
        return replace(measured(GATE_INFO).record, gate_ratios=[pair["gate_ratios"] for pair in screen])


def test_a_compared_run_expects_its_baseline_s_pace(tmp_path):
    """Before the first pair, the meter knows how fast the anchor was in the baseline."""
    baseline = read(write(tmp_path / "run.json", run(gate=GATE_INFO | {"gate_anchor_s": 0.0015})))
    benchmark = SimpleNamespace(pedantic=lambda *_, **__: None, extra_info={})
    session = SimpleNamespace(identity=lambda _: measured(GATE_INFO).identity)
    runner = SimpleNamespace(variant=SimpleNamespace(name="torch-original"))
    item = SimpleNamespace(nodeid=GATE, config=SimpleNamespace(stash={FIRST: {}}))
    keep_pairs(benchmark, Gate({}, baseline), session, runner, PretendedMeter, item)

    assert (PretendedMeter.expected, benchmark.extra_info["gate_ratios"]) == (0.0015, [1.0, 1.0])
