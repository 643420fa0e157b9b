"""Pairs of blocks and their intervals, with simulated workers."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.measure.accuracy import evaluate
from crnn.measure.latency import (
    MOST_REPEATS,
    Disturbed,
    Plan,
    Side,
    TimedDifference,
    block_ratios,
    calls_in,
    median_interval,
    percentile,
    run_pairs,
    supported_percentiles,
    timed_difference,
    undisturbed_ratio,
    warm_up,
)
from crnn.tests.test_evaluate import lines_of

PLAN = Plan(warmup_s=0.1, pairs=6)


def normalized(log_probs):
    """Normalise to a sum of one per time step, in float32."""
    return (log_probs - np.log(np.exp(log_probs).sum(-1, keepdims=True))).astype(np.float32)


class PretendedWorker:
    """Returns given durations at once and logs its calls in a diary shared with the other worker."""

    def __init__(self, name, seconds, diary):
        self.name, self.seconds, self.diary = name, seconds, diary

    def ask(self, method, *arguments):
        self.diary.append((self.name, method))
        if method == "time":
            size, _, calls = arguments
            return [next(self.seconds) for _ in range(calls)], [np.zeros((size, 50, 3))] * calls
        return 0.0


def constant(seconds):
    """Yield the same duration forever."""
    while True:
        yield seconds


def measured(ours, theirs, plan=PLAN, untimed=()):
    """Both sides after a whole plan, and the diary; the original may have been called before."""
    diary = []
    sides = [
        Side(PretendedWorker("variant", ours, diary), 4),
        Side(PretendedWorker("original", theirs, diary), 4, list(untimed)),
    ]
    warm_up(sides, plan)
    run_pairs(sides, plan)
    return sides, diary


class TestBlocks:
    def test_order_alternates_and_each_block_settles(self):
        """The order alternates from pair to pair, and each block's worker settles after it."""
        _, diary = measured(constant(1.0), constant(1.0))

        timed = [name for name, method in diary if method == "time"][-12:]
        assert timed == ["variant", "original", "original", "variant"] * 3
        after = {diary[index + 1] for index, (_, method) in enumerate(diary) if method == "time" and index > 8}
        assert after == {("variant", "settle"), ("original", "settle")}

    def test_short_calls_make_long_blocks(self):
        """A block of short calls holds many of them, the first untimed; a long call is a block by itself."""
        [short, long], _ = measured(constant(0.01), constant(1.0))

        assert ([len(b) for b in short.blocks], [len(b) for b in long.blocks]) == ([8] * 6, [1] * 6)

    def test_first_call_is_its_own_number(self):
        """The slow first call is recorded separately and is not among the timed calls."""

        def durations():
            yield 5.0
            yield from constant(0.05)

        [side, _], _ = measured(durations(), constant(1.0))

        assert side.untimed == [5.0, 0.05, 0.05]
        assert {second for block in side.blocks for second in block} == {0.05}

    def test_warm_already(self):
        """A worker that was called for long enough at this batch size before makes no further warm-up call."""
        [_, original], _ = measured(constant(1.0), constant(0.02), untimed=[5.0, 0.04, 0.04, 0.04])

        assert (original.untimed, original.calls_per_block) == ([5.0, 0.04, 0.04, 0.04], 2)

    @pytest.mark.parametrize(("size", "calls"), [(1, 25), (32, 16), (128, 4), (1000, 1)])
    def test_a_block_has_few_lines(self, size, calls):
        """A block of short calls has at most 25 calls and 512 lines: the inputs of all of them are in memory."""
        assert calls_in(0.08, [1e-6], size) == calls

    def test_ratios_cancel_drift(self):
        """A machine that slows down during the run changes the times but not the ratios."""
        drift = iter(np.linspace(1, 1.5, 10_000))

        def at(seconds):
            while True:
                yield seconds * next(drift)

        sides, _ = measured(at(1.0), at(3.0))

        assert block_ratios(*sides[::-1]) == pytest.approx([3.0] * 6, rel=2e-3)


class TestBudget:
    PLAN = Plan(warmup_s=0.1, pairs=2, most_pairs=8, budget_s=1.0)

    @pytest.mark.parametrize(
        ("call_s", "pairs"),
        [
            pytest.param(3.0, 2, id="slow calls: the least number"),
            pytest.param(0.2, 3, id="until the budget is spent"),
            pytest.param(0.01, 7, id="blocks of 80 ms"),
            pytest.param(0.001, 8, id="the most"),
        ],
    )
    def test_pairs_within_the_budget(self, call_s, pairs):
        """At least two pairs are measured, then as many as fit into the budget, eight at most."""
        sides, _ = measured(constant(call_s), constant(call_s), self.PLAN)

        assert [len(side.blocks) for side in sides] == [pairs, pairs]


class TestDisturbances:
    PLAN = Plan(warmup_s=0.1, pairs=6)

    def disturbed(self, kinds):
        """Run six pairs; the given kinds disturb one attempt after the other, the rest are quiet."""
        attempts = iter(kinds)
        sides = [Side(PretendedWorker(name, constant(1.0), []), 4) for name in ("variant", "anchor")]
        warm_up(sides, self.PLAN)
        return run_pairs(sides, self.PLAN, lambda: lambda: next(attempts, ())), [len(side.blocks) for side in sides]

    def test_a_disturbed_pair_is_measured_again(self):
        """A pair that something disturbed is discarded; the measurement still has all its pairs."""
        found, blocks = self.disturbed([(), ("load",)])

        assert (found.remeasured, found.kept, blocks) == (1, {}, [6, 6])

    def test_repeats_are_limited(self):
        """On a machine that is busy all the time, pairs are kept after some repeats, and marked."""
        found, blocks = self.disturbed([("load", "steal")] * 100)

        assert (found.remeasured, found.kept, blocks) == (
            MOST_REPEATS,
            dict.fromkeys(range(6), ("load", "steal")),
            [6, 6],
        )

    @pytest.mark.parametrize(
        ("disturbed", "found"),
        [({}, (2.0, True)), ({2: ("pace",)}, (1.5, True)), ({0: (), 1: (), 2: ()}, (2.0, False))],
    )
    def test_undisturbed_pairs_give_the_ratio(self, disturbed, found):
        """Disturbed pairs count only where there are no others."""
        side, anchor = Side(None, 1, blocks=[[1.0], [2.0], [9.0]]), Side(None, 1, blocks=[[1.0]] * 3)

        assert undisturbed_ratio(side, anchor, Disturbed(0, disturbed)) == found


class TestIntervals:
    @pytest.mark.parametrize(("count", "ranks"), [(5, None), (6, (0, 5)), (9, (1, 7)), (12, (2, 9)), (20, (5, 14))])
    def test_ranks(self, count, ranks):
        """The ranks are those of the usual tables for the median's 95 % interval."""
        assert median_interval(list(range(count))) == ranks

    @given(st.integers(6, 400))
    def test_coverage_is_at_least_95_percent_and_barely(self, count):
        """The interval covers the median with at least 95 % probability; one rank narrower, it does not."""
        low, high = median_interval(list(range(count)))

        def coverage(below):
            return 1 - 2 * sum(comb(count, k) for k in range(below)) / 2**count

        assert low + high == count - 1
        assert coverage(low + 1) >= 0.95 > coverage(low + 2)

    def test_percentile(self):
        """A percentile is the value below which that share of the samples lies."""
        assert percentile(list(range(101)), 0.95) == 95

    @pytest.mark.parametrize(("count", "ranks"), [(58, []), (59, [95]), (298, [95]), (299, [95, 99])])
    def test_percentiles_need_samples(self, count, ranks):
        """The 95th percentile needs 59 calls, the 99th needs 299."""
        assert list(supported_percentiles(list(range(count)))) == ranks


class TestOutputs:
    """Timed outputs of four lines: 50 time steps, an alphabet of four characters."""

    @pytest.fixture
    def evaluation(self):
        """An evaluation of four lines, each decoded to a different character."""
        log_probs = np.full((4, 50, 5), -9.0)
        log_probs[np.arange(4), :, np.arange(1, 5)] = 0
        return evaluate(normalized(log_probs), lines_of(["а", "б", "в", "г"]), "абвг")

    def difference(self, evaluation, outputs, rows=(0, 1, 2, 3)):
        """The difference between timed outputs and the evaluation."""
        return timed_difference([Side(None, 2, outputs=outputs)], evaluation, "абвг", np.array(rows))

    def test_same_outputs(self, evaluation):
        """Outputs equal to the evaluated ones have no difference, even if the lines wrap around."""
        log_probs = evaluation.log_probs

        assert self.difference(evaluation, {0: log_probs[[0, 1]], 3: log_probs[[3, 0]]}) == TimedDifference(
            compared={0, 1, 3}
        )

    def test_rounding_changes_no_text(self, evaluation):
        """A small difference in log probability is reported and changes no text."""
        found = self.difference(evaluation, {0: evaluation.log_probs[:2] - 0.25})

        assert found == TimedDifference(pytest.approx(0.25), compared={0, 1})

    def test_cached_outputs(self, evaluation):
        """The first batch's outputs returned for every batch are detected, and the lines that change are counted."""
        log_probs = evaluation.log_probs
        found = self.difference(evaluation, {0: log_probs[:2], 2: log_probs[:2], 4: log_probs[:2], 6: log_probs[:2]})

        assert (found.log_prob > 5, found.lines) == (True, {2, 3})

    def test_workers_that_keep_some_lines(self, evaluation):
        """A worker's lines are matched by their position in the evaluated split."""
        log_probs = evaluation.log_probs

        assert self.difference(evaluation, {0: log_probs[[3, 1]]}, (3, 1)) == TimedDifference(compared={1, 3})
