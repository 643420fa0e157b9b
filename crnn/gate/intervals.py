"""Bootstrap intervals of the ratio of two medians over process pairs.

A sample is the latency ratio of one pair of fresh processes, see ``crnn/measure/process_pairs.py``.
"""

import functools
from collections.abc import Sequence

import numpy as np

_RESAMPLES = 10_000
_SEED = 2026


@functools.cache
def _student_over_normal(freedom: int, tail: float) -> float:
    """Student's t quantile divided by the normal quantile."""
    from scipy import stats  # slow to import, and only comparisons need it

    return float(stats.t.ppf(1 - tail, freedom) / stats.norm.ppf(1 - tail))


@functools.cache
def _medians(pool: int, count: int, stream: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the two middle values of each resample lie in the sorted pool, int (resamples,) each.

    They are the same for the same sizes: so no resample has to be sorted again for each interval.
    """
    draws = np.random.default_rng([_SEED, stream]).integers(pool, size=(_RESAMPLES, count))
    draws.sort(axis=1)
    return draws[:, (count - 1) // 2].copy(), draws[:, count // 2].copy()


def ratio_interval(after: Sequence[float], before: Sequence[float], tail: float) -> tuple[float, float, float]:
    """Ratio of the medians after / before, and its interval.

    Each side alone is too small to show its spread, so the deviations of both sides from their
    medians are pooled and resampled for each side (Davison & Hinkley, 1997, section 4.4). The
    interval is widened by the ratio of Student's t to the normal quantile.

    Args:
        after: ratios of the run's pairs; at least two if ``before`` is empty.
        before: ratios of the baseline's pairs; empty if ``after`` holds direct ratios to the base.
        tail: probability left out at each end.

    Returns:
        Ratio, low end, high end.

    Raises:
        ValueError: too few pairs, or one that is not a positive number.
    """
    sides = [np.log(np.asarray(side, float)) for side in (after, before) if len(side)]
    freedom = sum(map(len, sides)) - len(sides)
    if not len(after) or freedom < 1 or not all(np.isfinite(side).all() for side in sides):
        raise ValueError(f"{len(after)} and {len(before)} process pairs: too few, or not all are positive numbers")
    pool = np.sort(np.concatenate([side - np.median(side) for side in sides]))
    pool *= np.sqrt(len(pool) / freedom) * _student_over_normal(freedom, tail)
    middles = [_medians(len(pool), len(side), i) for i, side in enumerate(sides)]
    medians = [(pool[lower] + pool[upper]) / 2 for lower, upper in middles]
    deviations = medians[0] - (medians[1] if len(sides) > 1 else 0)
    estimate = np.median(sides[0]) - (np.median(sides[1]) if len(sides) > 1 else 0)
    low, high = estimate + np.quantile(deviations, [tail, 1 - tail])
    return float(np.exp(estimate)), float(np.exp(low)), float(np.exp(high))
