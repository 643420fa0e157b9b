"""Intervals of the ratio of two typical process pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crnn.gate.intervals import Typical, ratio_interval

RATIOS = st.lists(st.floats(0.9, 1.1), min_size=3, max_size=8)


class TestIntervals:
    @settings(deadline=None)  # the first example imports scipy
    @given(RATIOS, RATIOS, st.floats(0.5, 2))
    def test_scaling_both_sides_changes_nothing(self, after, before, factor):
        """Scaling both sides by the same factor does not change the interval."""
        scaled = ratio_interval([factor * ratio for ratio in after], [factor * ratio for ratio in before], 0.005)

        assert scaled == pytest.approx(ratio_interval(after, before, 0.005))

    @settings(deadline=None)
    @given(st.lists(st.floats(0.9, 1.1), min_size=3, max_size=3), st.lists(st.floats(0.9, 1.1), min_size=3, max_size=3))
    def test_holds_the_ratio_of_the_means(self, after, before):
        """The interval contains the ratio of the means, which are taken over logarithms."""
        ratio, low, high = ratio_interval(after, before, 0.005)

        assert low <= ratio <= high
        assert ratio == pytest.approx(stats.gmean(after) / stats.gmean(before))

    @given(st.lists(st.floats(0.9, 1.1), min_size=4, max_size=16), RATIOS, st.floats(0.1, 10))
    def test_the_order_of_a_pair_does_not_count(self, after, before, effect):
        """However much slower whoever goes first may be, the interval is as wide, and holds the mean of both orders."""
        ordered = [ratio * (effect if at % 2 else 1 / effect) for at, ratio in enumerate(after)]

        assert ratio_interval(ordered, before, 0.005) == pytest.approx(ratio_interval(after, before, 0.005))

    @given(st.lists(st.floats(0.9, 1.1), min_size=4, max_size=7))
    def test_equals_that_of_least_squares(self, ratios):
        """Where no pair is trimmed, mean and standard error are those of a regression on the order."""
        logs = np.log(ratios)
        design = np.stack([np.ones(len(logs)), (-1.0) ** np.arange(len(logs))], axis=1)
        (mean, _), residuals, _, _ = np.linalg.lstsq(design, logs, rcond=None)
        found = Typical.of(ratios)

        assert found.mean == pytest.approx(mean, abs=1e-12)
        assert (found.squares, found.freedom) == (pytest.approx(residuals[0]), len(ratios) - 2)

    def test_equals_that_of_scipy(self):
        """Of sides too small to show the effect of the order, the interval is that of Student's test."""
        random = np.random.default_rng(4)
        after, before = np.exp(random.normal(0.1, 0.05, 3)), np.exp(random.normal(0, 0.05, 2))
        student = stats.ttest_ind(np.log(after), np.log(before)).confidence_interval(0.98)

        assert ratio_interval(after, before, 0.01)[1:] == pytest.approx(np.exp(student))

    def test_of_many_pairs_is_that_of_trimmed_means(self):
        """Where the order has no effect at all, the mean is the trimmed one, and the error Yuen's but for a degree."""
        pairs = np.repeat(np.random.default_rng(4).normal(0.1, 0.05, 8), 2)
        found = Typical.of(np.exp(pairs))
        yuen = stats.ttest_ind(pairs, pairs, trim=1 / 8)

        assert found.mean == pytest.approx(stats.trim_mean(pairs, 1 / 8))
        assert (found.kept, found.freedom) == (12, yuen.df / 2 - 1)
        [low, high] = yuen.confidence_interval(0.98)
        error = (high - low) / 2 / stats.t.ppf(0.99, yuen.df)
        assert found.squares / (yuen.df / 2) / found.kept == pytest.approx(error**2 / 2)

    def test_one_pair_of_eight_does_not_count(self):
        """However far off one of eight pairs is, estimate and interval do not change further."""
        found = [ratio_interval([1.01, 0.99, 1.02, 0.98, 1, 1, 1.03, off], [1.0] * 8, 0.01) for off in (1.1, 9)]

        assert found[0] == pytest.approx(found[1])

    def test_equal_pairs_leave_no_doubt(self):
        """Without spread, the interval has zero width."""
        assert ratio_interval([1.1] * 3, [1.0] * 8, 0.005) == pytest.approx((1.1, 1.1, 1.1))

    @pytest.mark.parametrize(("after", "before"), [([], [1, 1]), ([1], []), ([1, float("nan")], [1, 1])])
    def test_refuses_too_few_and_what_is_no_number(self, after, before):
        """Too few ratios, or ratios that are not numbers, are an error."""
        with pytest.raises(ValueError, match="process pairs"):
            ratio_interval(after, before, 0.005)

    @pytest.mark.parametrize("outliers", [0, 0.1])
    def test_keeps_its_error_rate(self, outliers):
        """An interval with 1 % at each end misses the true ratio no more often, even with one process in ten off."""
        random = np.random.default_rng(3)

        def processes(count):
            spread = np.where(random.random(count) < outliers, 0.05, 0.01)
            return np.exp(random.normal(0, spread))

        missed = 0
        for _ in range(300):
            _, low, high = ratio_interval(processes(3), processes(8), 0.01)
            missed += low > 1 or high < 1

        assert missed <= 12  # 6 expected at most; more than 12 has a chance of 1 %
