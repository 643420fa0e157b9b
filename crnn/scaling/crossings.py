"""Which row is fastest at which batch size, and where one overtakes the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from crnn.scaling.model import Model
from crnn.scaling.pieces import Pieces

_DRAWS = 400
_TAIL = 0.025  # at each end of a 95 % interval


@dataclass(frozen=True)
class Crossing:
    """A batch size at which one row overtakes another.

    Attributes:
        before: the faster row below it.
        after: the faster row from it on.
        size: the smallest size at which the second is faster.
        low: 95 % interval: the second may be faster from here on.
        high: it is faster from here on at the latest; None if it may not be within the measured sizes.
    """

    before: str
    after: str
    size: int
    low: int
    high: int | None


def _drawn(model: Model, draws: np.random.Generator) -> Pieces:
    """The function that another study might give: other processes, and other noise at each size."""
    times = model.times
    processes = len(times.seconds)
    level = draws.normal(0, model.between / np.sqrt(processes))
    noise = draws.normal(0, model.error, len(times.sizes))
    starts = [int(np.searchsorted(times.sizes, piece.first)) for piece in model.function.pieces]
    return Pieces.fit(times.sizes, times.typical * np.exp(level + noise), [0, *starts[1:]])


def _first_faster(before: Pieces, after: Pieces, sizes: np.ndarray) -> int | None:
    """The size from which the second stays faster up to the largest; None if it is not faster there.

    A row may be faster at single sizes below it, where the other one steps.
    """
    faster = after(sizes) < before(sizes)
    if not faster[-1]:
        return None
    slower = np.flatnonzero(~faster)
    return int(sizes[slower[-1] + 1 if len(slower) else 0])


def crossing(one: Model, other: Model, seed: int = 0) -> Crossing | None:
    """Where two rows cross for good; None if one is faster at the smallest and the largest size.

    Args:
        one: a row.
        other: another.
        seed: of the draws that give the interval.
    """
    largest = min(one.times.sizes[-1], other.times.sizes[-1])
    sizes = np.arange(max(one.times.sizes[0], other.times.sizes[0]), largest + 1)
    first = one.function(sizes[:1]) < other.function(sizes[:1])
    before, after = (one, other) if first else (other, one)
    size = _first_faster(before.function, after.function, sizes)
    if size is None:
        return None
    draws, found = np.random.default_rng([2026, seed]), []
    for _ in range(_DRAWS):
        at = _first_faster(_drawn(before, draws), _drawn(after, draws), sizes)
        found.append(np.inf if at is None else at)
    low, high = np.quantile(found, [_TAIL, 1 - _TAIL], method="inverted_cdf")
    names = before.times.name, after.times.name
    # In no draw may it be slower than the fit says: the interval holds the estimate.
    return Crossing(*names, size, min(size, int(low)), None if np.isinf(high) else max(size, int(high)))


@dataclass(frozen=True)
class Reign:
    """A range of batch sizes in which one row is the fastest.

    Attributes:
        name: the row.
        first: smallest size.
        last: largest size.
    """

    name: str
    first: int
    last: int


def winners(models: Sequence[Model]) -> list[Reign]:
    """The fastest row from the smallest to the largest size that all rows have."""
    largest = min(int(model.times.sizes[-1]) for model in models)
    sizes = np.arange(max(int(model.times.sizes[0]) for model in models), largest + 1)
    fastest = np.array([model.function(sizes) for model in models]).argmin(axis=0)
    edges = [0, *(np.flatnonzero(np.diff(fastest)) + 1), len(sizes)]
    return [
        Reign(models[fastest[start]].times.name, int(sizes[start]), int(sizes[end - 1]))
        for start, end in pairwise(edges)
    ]
