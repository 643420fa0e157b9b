"""Which row to ship: the fastest that keeps all limits, what is as fast, and why each other row fell.

The rule: of the rows that were measured at the batch size and keep every limit, the one with the least of what is
minimized wins, by its ratio to the anchor; where two have the same, the one with the lower CER, then the smaller one.
So no row that keeps the limits is at least as good in everything and better in something: the winner is never
dominated. Limits are compared with estimates, not with the ends of their intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log
from statistics import fmean

from crnn.measure.records import Latency
from crnn.measure.speedup import NO_DIFFERENCE, ONE_PROCESS, Estimate, UnpairedError, speedup
from crnn.report.criteria import CRITERIA, OBJECTIVES, Measured, label
from crnn.report.results import ReportError, Results

_ALWAYS = ("cer", "memory", "bytes")
"""Beside what is minimized and limited, a row is better or worse by these."""


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        size: lines per call.
        limits: the largest value of each criterion, in the units of the records.
        minimize: one of ``OBJECTIVES``.
    """

    size: int
    limits: Mapping[str, float]
    minimize: str = "latency"

    @property
    def criteria(self) -> tuple[str, ...]:
        """All criteria by which rows are compared: what is minimized comes first."""
        return tuple(dict.fromkeys((self.minimize, *_ALWAYS, *self.limits)))


@dataclass(frozen=True)
class Row:
    """A row that was measured at the batch size.

    Attributes:
        name: its name.
        latency: at the batch size.
        values: of each criterion that rows are compared by; None where it was not measured.
    """

    name: str
    latency: Latency
    values: Mapping[str, float | None]

    def score(self, minimize: str) -> float:
        """What is minimized, in units of the anchor's: medians that were taken minutes apart do not compare."""
        value = self.values[minimize]
        if value is None:
            return inf
        in_anchors = exp(fmean(map(log, self.latency.anchor_ratios)))
        return value / self.latency.latency_median_s * in_anchors

    def keeps(self, limits: Mapping[str, float]) -> bool:
        """Whether all limits are kept; what was not measured keeps none."""
        return all((value := self.values[name]) is not None and value <= most for name, most in limits.items())

    def rank(self, wish: Wish) -> tuple[float, ...]:
        """Less is better; what was not measured comes last."""
        others = (inf if (value := self.values[name]) is None else value for name in wish.criteria[1:])
        return (self.score(wish.minimize), *others)

    def dominates(self, other: "Row", wish: Wish) -> bool:
        """Whether it is at least as good in all of these criteria, and better in something."""
        ours, theirs = self.rank(wish), other.rank(wish)
        return ours != theirs and all(mine <= its for mine, its in zip(ours, theirs, strict=True))


@dataclass(frozen=True)
class Fallen:
    """A row that did not win.

    Attributes:
        name: its name.
        reason: in a few words.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Change:
    """What would change the answer.

    Attributes:
        criterion: whose limit changes.
        limit: the value from which, or below which, another row wins.
        relaxed: whether the limit has to be at least this; else it has to be below.
        winner: the row that wins then.
        factor: what is minimized, of that row / of the present winner.
    """

    criterion: str
    limit: float
    relaxed: bool
    winner: str
    factor: float


@dataclass(frozen=True)
class Recommendation:
    """The answer.

    Attributes:
        wish: what was asked for.
        winner: the row to ship.
        ties: rows that keep the limits and whose difference to the winner is not shown.
        fallen: all other rows.
        changes: what would change the answer.
        certain: whether rows have intervals: without, nothing is said about ties.
    """

    wish: Wish
    winner: Row
    ties: tuple[Row, ...]
    fallen: tuple[Fallen, ...]
    changes: tuple[Change, ...]
    certain: bool


def _rows(results: Results, wish: Wish) -> tuple[list[Row], list[Fallen]]:
    """The rows that were measured at the batch size, and why others were not."""
    rows, lacking = list[Row](), list[Fallen]()
    for name in results.rows:
        measured = Measured.of(results, name, wish.size)
        if measured.latency is None:
            lacking.append(Fallen(name, f"not measured at batch {wish.size}"))
            continue
        values = {one: CRITERIA[one].read(measured) for one in wish.criteria}
        if values[wish.minimize] is None:
            lacking.append(Fallen(name, f"no {wish.minimize}: {CRITERIA[wish.minimize].lacking}"))
        else:
            rows.append(Row(name, measured.latency, values))
    return rows, lacking


def times(row: Row, other: Row, rows: Sequence[Row]) -> Estimate | None:
    """Time of a row's call / of the other's, with its interval over processes; None if they were not paired.

    Args:
        row: a row.
        other: another.
        rows: all rows at this batch size.
    """
    try:
        return speedup(other.latency, row.latency, [one.latency for one in rows])
    except UnpairedError:
        return None


def scaled(found: Estimate | None, row: Row, other: Row, minimize: str) -> Estimate:
    """What is minimized, of a row / of the other, with the interval that the ratio of their times has."""
    ratio = row.score(minimize) / other.score(minimize)
    if found is None or found.interval is None:
        return Estimate(ratio, None)
    low, high = (end / found.value for end in found.interval)
    return Estimate(ratio, (ratio * low, ratio * high))


def compared(row: Row, winner: Row, rows: Sequence[Row], minimize: str) -> Estimate:
    """What is minimized, of a row / of the winner, with its interval."""
    return scaled(times(row, winner, rows), row, winner, minimize)


def _value(row: Row, name: str) -> float:
    value = row.values[name]
    if value is None:
        raise TypeError(f"{row.name} has no {name}")
    return value


def _best(rows: list[Row], wish: Wish, limits: Mapping[str, float]) -> Row | None:
    return min((row for row in rows if row.keeps(limits)), key=lambda row: row.rank(wish), default=None)


def _refuse(rows: list[Row], wish: Wish) -> ReportError:
    """No row keeps all limits: the error that says which limit is out of reach."""
    said = []
    for name, most in wish.limits.items():
        found = [(value, row.name) for row in rows if (value := row.values[name]) is not None]
        shown = CRITERIA[name].shown
        if not found:
            said.append(f"no row has {name}: {CRITERIA[name].lacking}")
        elif (least := min(found))[0] > most:
            said.append(
                f"no row has {label(name)} of at most {shown(most)}: the least is {shown(least[0])}, of {least[1]}"
            )
    together = ", ".join(f"{label(name)} {CRITERIA[name].shown(most)}" for name, most in wish.limits.items())
    return ReportError("; ".join(said) or f"no row keeps all limits at once: {together}")


def _over(row: Row, limits: Mapping[str, float]) -> str:
    """The limits that a row exceeds, in words."""
    said = []
    for name, most in limits.items():
        value, shown = row.values[name], CRITERIA[name].shown
        if value is None:
            said.append(f"no {name}: {CRITERIA[name].lacking}")
        elif value > most:
            said.append(f"{label(name)} {shown(value)}, limit {shown(most)}")
    return "; ".join(said)


def _reason(row: Row, winner: Row, rows: list[Row], wish: Wish) -> str:
    """Why a row that keeps the limits, and is shown to be slower, did not win."""
    slower = f"{compared(row, winner, rows, wish.minimize).value:.2f} times the {wish.minimize}"
    if winner.dominates(row, wish):
        return f"{slower}, and better in nothing that counts"
    better = [name for name in wish.criteria[1:] if (mine := row.values[name]) is not None
              and (its := winner.values[name]) is not None and mine < its]  # fmt: skip
    shown = ", ".join(f"{label(name)} {CRITERIA[name].shown(_value(row, name))}" for name in better)
    others = [one for one in rows if one.keeps(wish.limits) and one.dominates(row, wish)]
    by = f"; dominated by {min(others, key=lambda one: one.rank(wish)).name}" if others else ""
    return slower + (f", though better in {shown}" if shown else "") + by


def _changes(rows: list[Row], winner: Row, wish: Wish) -> list[Change]:
    """The nearest limits at which another row wins, looser and tighter, criterion by criterion."""
    found = []
    for name in wish.criteria[1:]:
        others = {one: most for one, most in wish.limits.items() if one != name}
        eligible = [row for row in rows if row.keeps(others) and row.values[name] is not None]
        faster = [row for row in eligible if not row.keeps(wish.limits) and row.rank(wish) < winner.rank(wish)]
        if faster:
            limit = min(_value(row, name) for row in faster)
            best = _best(rows, wish, others | {name: limit})
            found.append((name, limit, True, best))
        if (own := winner.values[name]) is not None:
            tighter = [row for row in eligible if _value(row, name) < own]
            found.append((name, own, False, min(tighter, key=lambda row: row.rank(wish), default=None)))
    return [
        Change(name, limit, relaxed, best.name, best.score(wish.minimize) / winner.score(wish.minimize))
        for name, limit, relaxed, best in found
        if best is not None and best is not winner
    ]


def recommend(results: Results, wish: Wish) -> Recommendation:
    """The row to ship.

    Raises:
        ReportError: the batch size was not measured, nothing can be minimized, or no row keeps the limits.
    """
    if wish.size not in results.sizes:
        sizes = ", ".join(map(str, results.sizes))
        raise ReportError(
            f"batch {wish.size} was not measured; " + (f"measured: {sizes}" if sizes else "no latency was")
        )
    if wish.minimize not in OBJECTIVES:
        raise ReportError(f"--minimize {wish.minimize}: expected one of {', '.join(OBJECTIVES)}")
    rows, lacking = _rows(results, wish)
    if not rows:
        raise ReportError(f"no row has {wish.minimize} at batch {wish.size}: {CRITERIA[wish.minimize].lacking}")
    winner = _best(rows, wish, wish.limits)
    if winner is None:
        raise _refuse(rows, wish)
    ties, fallen = list[Row](), lacking
    for row in rows:
        if row is winner:
            continue
        if not row.keeps(wish.limits):
            fallen.append(Fallen(row.name, _over(row, wish.limits)))
        elif compared(row, winner, rows, wish.minimize).verdict == NO_DIFFERENCE:
            ties.append(row)
        else:
            fallen.append(Fallen(row.name, _reason(row, winner, rows, wish)))
    ties.sort(key=lambda row: row.rank(wish))
    changes = _changes(rows, winner, wish)
    certain = compared(winner, winner, rows, wish.minimize).verdict != ONE_PROCESS
    return Recommendation(wish, winner, tuple(ties), tuple(fallen), tuple(changes), certain)
