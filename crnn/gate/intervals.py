"""Intervals of the ratio of two typical process pairs.

A sample is the latency ratio of one pair of fresh processes, see ``crnn/measure/process_pairs.py``. The typical
value is the trimmed mean of logarithms, with the standard error of Yuen (1974): it is nearly as precise as the mean
where pairs spread evenly or have two modes, and one process off does not count. The median, of such few pairs, is
less precise by a quarter to a half, and jumps between two modes.

The order within pairs alternates, and may count: TensorFlow's first call of 128 lines took 0.3 times the anchor's
where it went first, and 2.7 times where it went second. So the effect of the order is estimated and removed, as in
the analysis of a crossover trial (Grizzle 1965); it costs a degree of freedom.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, sqrt

import numpy as np

# An eighth is left out at each end: one pair of eight to fifteen.
_TRIMMED = 8
# Two pairs of each order are the fewest that show its effect.
_ORDERED = 4


@functools.cache
def _student(freedom: int, tail: float) -> float:
    """Quantile of Student's t distribution."""
    from scipy import stats  # slow to import, and only comparisons need it

    return float(stats.t.ppf(1 - tail, freedom))


def _trimmed_mean(values: np.ndarray, cut: int) -> float:
    """The mean without so many at each end."""
    return float(np.sort(values)[cut : len(values) - cut].mean())


@dataclass(frozen=True)
class Typical:
    """The typical logarithm of some process pairs.

    Attributes:
        mean: trimmed mean, as if either order came as often.
        squares: sum of the squared deviations of the winsorized sample, without the effect of the order.
        kept: number of pairs that are not trimmed.
        freedom: degrees of freedom of that sum.
    """

    mean: float
    squares: float
    kept: int
    freedom: int

    @classmethod
    def of(cls, ratios: Sequence[float]) -> "Typical":
        """From the ratios of at least one pair, in the order in which they were measured.

        Raises:
            ValueError: a ratio is not a positive number.
        """
        logs = np.log(np.asarray(ratios, float))
        if not np.isfinite(logs).all():
            raise ValueError("process pairs: not all are positive numbers")
        count, cut = len(logs), len(logs) // _TRIMMED
        if removed := count >= _ORDERED:
            half = (_trimmed_mean(logs[::2], cut) - _trimmed_mean(logs[1::2], cut)) / 2
            logs += np.where(np.arange(count) % 2, half, -half)
        logs.sort()
        winsorized = np.clip(logs, logs[cut], logs[count - cut - 1])
        squares = float(((winsorized - winsorized.mean()) ** 2).sum())
        return cls(float(logs[cut : count - cut].mean()), squares, count - 2 * cut, count - 2 * cut - 1 - removed)

    @property
    def spread(self) -> float:
        """The standard deviation of a pair, as far as it counts for the mean; infinite for one pair."""
        return sqrt(self.squares / self.freedom) if self.freedom else inf


def kept(count: int) -> int:
    """How many of so many pairs are not trimmed."""
    return count - 2 * (count // _TRIMMED)


def typical(ratios: Sequence[float]) -> float:
    """The typical ratio; see ``Typical``."""
    return exp(Typical.of(ratios).mean)


def ratio_interval(after: Sequence[float], before: Sequence[float], tail: float) -> tuple[float, float, float]:
    """Ratio of the typical pairs after / before, and its interval.

    Each side alone is too small to show its spread, so that of both is pooled.

    Args:
        after: ratios of the run's pairs; at least two if ``before`` is empty.
        before: ratios of the baseline's pairs; empty if ``after`` holds direct ratios to the base.
        tail: probability left out at each end.

    Returns:
        Ratio, low end, high end.

    Raises:
        ValueError: too few pairs, or one that is not a positive number.
    """
    sides = [Typical.of(side) for side in (after, before) if len(side)]
    freedom = sum(side.freedom for side in sides)
    if not len(after) or freedom < 1:
        raise ValueError(f"{len(after)} and {len(before)} process pairs: too few")
    error = sqrt(sum(side.squares for side in sides) / freedom * sum(1 / side.kept for side in sides))
    estimate, width = sides[0].mean - (sides[1].mean if len(before) else 0.0), _student(freedom, tail) * error
    return exp(estimate), exp(estimate - width), exp(estimate + width)
