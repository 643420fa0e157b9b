"""Speed-ups between rows, from their paired ratios to one anchor, with intervals over processes.

Calls of one process are not independent: memory layout and the machine's state are drawn once per
process. So a process is one sample (Kalibera & Jones, 2013, "Rigorous benchmarking in reasonable
time"): the variance of the processes' ratios already holds that of their blocks and calls.

Three processes say little about their own variance: in one row of twenty their standard deviation is
by chance a fifth of the true one. The rows of a run vary alike, so each row's variance is combined
with that of all rows (a moderated t interval: Smyth, 2004, "Linear models and empirical Bayes methods
for assessing differential expression in microarray experiments"), and never taken to be smaller.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import fmean, variance

from crnn.measure.records import Latency

_TAIL = 0.025  # at each end of a 95 % interval
# Degrees of freedom that the variance of all rows counts for, beside a row's own.
POOLED_FREEDOM = 4
# The estimate of a second run varies as much as that of the first: their difference spreads wider by this factor.
RERUN = sqrt(2)

FASTER, SLOWER, NO_DIFFERENCE, ONE_PROCESS = "faster", "slower", "no difference shown", "one process: no verdict"


class UnpairedError(ValueError):
    """Raised for two latencies that were not paired with the same anchor at the same batch size."""


@dataclass(frozen=True)
class Estimate:
    """A positive quantity with its 95 % interval over processes; None if there are fewer than two."""

    value: float
    interval: tuple[float, float] | None

    @property
    def verdict(self) -> str:
        """``faster`` or ``slower`` if a second run would show it too, else ``no difference shown``.

        A second run shows it if 1 lies outside the interval even when widened by the square root of two.
        """
        if self.interval is None:
            return ONE_PROCESS
        low, high = (log(self.value) + RERUN * (log(end) - log(self.value)) for end in self.interval)
        return FASTER if low > 0 else SLOWER if high < 0 else NO_DIFFERENCE


def _t(freedom: float) -> float:
    from scipy.special import stdtrit  # only runs that measure or report need it

    return float(stdtrit(freedom, 1 - _TAIL))


@functools.lru_cache(maxsize=64)
def _pooled_variance(rows: tuple[tuple[float, ...], ...]) -> float | None:
    """The variance of logs within rows; None if no row has two samples. All pairs of a run ask for the same."""
    several = [row for row in rows if len(row) > 1]
    if not several:
        return None
    return sum(variance(map(log, row)) * (len(row) - 1) for row in several) / sum(len(row) - 1 for row in several)


def _spread(sides: Sequence[Sequence[float]], rows: Sequence[Sequence[float]] = ()) -> float | None:
    """Half of the interval of the difference of means of logs; None if a side has fewer than two samples.

    Welch's t interval: the sides may spread differently. With rows, each side's variance is moderated by theirs.
    """
    if min(map(len, sides)) < 2:
        return None
    pooled = _pooled_variance(tuple(map(tuple, rows)))
    weight = 0 if pooled is None else POOLED_FREEDOM
    errors, freedoms = [], []
    for side in sides:
        freedoms.append(len(side) - 1 + weight)
        moderated = ((len(side) - 1) * variance(map(log, side)) + weight * (pooled or 0)) / freedoms[-1]
        # A row whose processes agree better than those of others was lucky: it is no steadier in the next run.
        errors.append(max(moderated, pooled or 0) / len(side))
    if not sum(errors):
        return 0.0
    freedom = sum(errors) ** 2 / sum(error**2 / freedom for error, freedom in zip(errors, freedoms, strict=True))
    return _t(freedom) * sqrt(sum(errors))


def _estimate(center: float, spread: float | None) -> Estimate:
    return Estimate(exp(center), None if spread is None else (exp(center - spread), exp(center + spread)))


def over_processes(values: Sequence[float]) -> Estimate:
    """The geometric mean of one positive value per process, with its interval."""
    return _estimate(fmean(map(log, values)), _spread([values]))


def quotient(variant: Sequence[float], reference: Sequence[float], rows: Sequence[Sequence[float]] = ()) -> Estimate:
    """The speed-up of a variant over a reference.

    Args:
        variant: its ratios to the anchor, one per process.
        reference: the same of the reference.
        rows: the same of all rows at the batch size, which moderate the variances of the two; none: Welch's interval.
    """
    center = fmean(map(log, reference)) - fmean(map(log, variant))
    return _estimate(center, _spread([variant, reference], rows))


def speedup(variant: Latency, reference: Latency, rows: Iterable[Latency] = ()) -> Estimate:
    """The speed-up of one row over another at the same batch size.

    Args:
        variant: the row.
        reference: the other row.
        rows: all rows of the run at this batch size, see ``quotient``.

    Raises:
        UnpairedError: their anchors or batch sizes differ.
    """
    for name in ("batch_size_lines", "latency_anchor", "latency_anchor_sha256"):
        ours, theirs = getattr(variant, name), getattr(reference, name)
        if ours != theirs:
            raise UnpairedError(f"{name} differs: {ours} and {theirs}")
    return quotient(variant.anchor_ratios, reference.anchor_ratios, [row.anchor_ratios for row in rows])
