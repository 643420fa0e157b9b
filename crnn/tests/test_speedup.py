"""Speed-ups as quotients of ratios to one anchor, and their intervals over processes."""

from dataclasses import replace
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit  # noqa: F401 loaded now: within a property's first example it exceeds the deadline

from crnn.measure.records import Latency
from crnn.measure.speedup import (
    FASTER,
    NO_DIFFERENCE,
    ONE_PROCESS,
    POOLED_FREEDOM,
    RERUN,
    SLOWER,
    Estimate,
    UnpairedError,
    over_processes,
    quotient,
    speedup,
)

RATIOS = st.lists(st.floats(0.5, 2), min_size=2, max_size=6)
LATENCY = Latency(
    batch_size_lines=1,
    latency_median_s=0.01,
    throughput_lines_per_s=100.0,
    warmup_calls_count=3,
    timed_calls_count=12,
    calls_per_block_count=1,
    latency_anchor="an anchor",
    latency_anchor_sha256="aa",
    anchor_ratios=[2.0, 2.1, 1.9],
    process_medians_s=[0.01] * 3,
    peak_memory_bytes=1,
    timed_answers_log_prob_difference_nats=0.0,
)


class TestQuotient:
    @given(RATIOS, RATIOS)
    def test_is_the_inverse_the_other_way_round(self, ours, theirs):
        """A over B is one by B over A, and so are the ends of the interval."""
        one, other = quotient(ours, theirs), quotient(theirs, ours)

        assert one.value == pytest.approx(1 / other.value)
        assert one.interval == pytest.approx(tuple(1 / end for end in reversed(other.interval)))

    @given(RATIOS, RATIOS, st.floats(0.01, 100))
    def test_the_anchor_cancels_out(self, ours, theirs, scale):
        """Another speed of the anchor changes neither the speed-up nor its interval."""
        slower = quotient([scale * ratio for ratio in ours], [scale * ratio for ratio in theirs])

        assert slower.value == pytest.approx(quotient(ours, theirs).value)
        assert slower.interval == pytest.approx(quotient(ours, theirs).interval)

    def test_welch(self):
        """The interval is Welch's for the difference of means of logs, as scipy computes it."""
        from scipy import stats

        ours, theirs = np.log([2.0, 2.1, 1.9]), np.log([4.0, 4.4, 4.1])
        expected = stats.ttest_ind(theirs, ours, equal_var=False).confidence_interval(0.95)

        assert quotient(np.exp(ours), np.exp(theirs)).interval == pytest.approx((exp(expected.low), exp(expected.high)))

    def test_one_process_has_no_interval(self):
        """A single process shows no spread between processes."""
        assert quotient([2.0], [4.0, 4.1]) == Estimate(pytest.approx(sqrt(4.0 * 4.1) / 2), None)

    def test_coverage(self):
        """Of 1,000 simulated runs, the intervals of about 950 hold the true speed-up, and verdicts repeat."""
        random = np.random.default_rng(1)
        runs = [quotient(*np.exp(random.normal(0, 0.03, (2, 3)))) for _ in range(1_000)]
        covered = sum(low <= 1 <= high for low, high in (run.interval for run in runs))

        assert 940 <= covered <= 985  # Welch is conservative for three against three
        assert sum(run.verdict != NO_DIFFERENCE for run in runs) <= 20


class TestModeratedInterval:
    """The variance of three processes is combined with that of all rows."""

    def test_own_and_pooled_variance_count_by_their_degrees_of_freedom(self):
        """A row as loud as a third of the rows together: (2 own + 4 pooled) / 6, and 2 + 4 degrees of freedom."""
        from scipy.stats import t

        quiet, loud = [1.0, 1.0, 1.0], [1.0, exp(0.3), exp(-0.3)]
        pooled = 0.3**2 / 3
        moderated = (2 * 0.3**2 + POOLED_FREEDOM * pooled) / (2 + POOLED_FREEDOM)
        low, high = quotient(loud, loud, [quiet, quiet, loud]).interval
        expected = t.ppf(0.975, 2 * (2 + POOLED_FREEDOM)) * sqrt(2 * moderated / 3)

        assert (-log(low), log(high)) == pytest.approx((expected, expected))

    def test_agreeing_by_chance_does_not_narrow_an_interval(self):
        """A row whose processes agree better than others' gets the variance of all rows."""
        quiet, loud = [1.0, 1.0, 1.0], [1.0, exp(0.3), exp(-0.3)]
        middle = [1.0, exp(0.3 / sqrt(3)), exp(-0.3 / sqrt(3))]  # as loud as all three together
        rows = [quiet, quiet, loud]

        assert quotient(quiet, quiet, rows).interval == pytest.approx(quotient(middle, middle, rows).interval)

    def test_coverage_where_rows_differ(self):
        """If rows vary differently, at least 95 % of intervals hold the truth; most are narrower than Welch's."""
        random = np.random.default_rng(1)
        covered, narrower = [], []
        for _ in range(200):
            deviations = 0.08 * np.exp(random.normal(0, 0.4, (20, 1)))
            rows = np.exp(random.normal(0, deviations, (20, 3))).tolist()
            moderated, plain = quotient(rows[0], rows[1], rows), quotient(rows[0], rows[1])
            covered.append(moderated.interval[0] <= 1 <= moderated.interval[1])
            narrower.append(
                log(moderated.interval[1] / moderated.interval[0]) < log(plain.interval[1] / plain.interval[0])
            )

        assert 0.95 <= np.mean(covered) <= 0.99
        assert np.mean(narrower) > 0.6


class TestOneQuantity:
    def test_geometric_mean_and_t(self):
        """One value per process: their geometric mean, and Student's t interval of the logs."""
        found, spread = over_processes([1.0, 4.0]), 12.7062 * np.std([0, log(4)], ddof=1) / sqrt(2)

        assert found.value == pytest.approx(2)
        assert found.interval == pytest.approx((exp(log(2) - spread), exp(log(2) + spread)), rel=1e-4)

    def test_equal_values(self):
        """Processes that do not differ at all give an interval without width."""
        assert over_processes([2.0, 2.0]) == Estimate(pytest.approx(2), pytest.approx((2, 2)))


class TestVerdict:
    @pytest.mark.parametrize(
        ("value", "interval", "verdict"),
        [
            (1.2, (1.1, 1.31), FASTER),
            (0.8, (0.73, 0.88), SLOWER),
            (1.1, (0.9, 1.34), NO_DIFFERENCE),
            pytest.param(1.2, (1.01, 1.43), NO_DIFFERENCE, id="a second run could miss it"),
            (3.0, None, ONE_PROCESS),
        ],
    )
    def test_only_what_a_second_run_would_show(self, value, interval, verdict):
        """A verdict needs an interval that excludes 1 even when widened for the spread of a second run."""
        assert Estimate(value, interval).verdict == verdict

    def test_widened_by_the_square_root_of_two(self):
        """The estimates of two runs differ by the square root of two times one run's error."""
        just, hardly = (exp(log(1.2) - log(1.2) / RERUN * share) for share in (0.99, 1.01))

        assert (Estimate(1.2, (just, 1.44 / just)).verdict, Estimate(1.2, (hardly, 1.44 / hardly)).verdict) == (
            FASTER,
            NO_DIFFERENCE,
        )


class TestRecords:
    def test_speedup(self):
        """Half of the reference's ratio to the anchor is a speed-up of two."""
        assert speedup(LATENCY, replace(LATENCY, anchor_ratios=[4.0, 4.2, 3.8])).value == pytest.approx(2)

    @pytest.mark.parametrize(
        "change", [{"batch_size_lines": 2}, {"latency_anchor": "b"}, {"latency_anchor_sha256": "b"}]
    )
    def test_unlike_pairs(self, change):
        """Ratios to different anchors, or at different batch sizes, give no speed-up; the message names the field."""
        with pytest.raises(UnpairedError, match=next(iter(change))):
            speedup(LATENCY, replace(LATENCY, **change))
