"""How two values of one measurement compare: as numbers, line by line, by process pairs, or as files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from statistics import median
from typing import Any

import numpy as np

from crnn.gate.declaration import Measure
from crnn.gate.intervals import Typical, ratio_interval, typical
from crnn.gate.limits import Limit
from crnn.gate.sequential import BETTER, LAST_TAIL, SAME, UNCLEAR, WORSE, Reference, decide, resolved
from crnn.gate.verdicts import INCONCLUSIVE, NOT_COMPARABLE, Verdict
from crnn.measure.accuracy import paired_difference
from crnn.measure.latency import P95_SAMPLES
from crnn.measure.pair_records import Deployment, RelativeLatency
from crnn.measure.records import Accuracy, Latency, Measured
from crnn.measure.speedup import over_processes

# Probability left out at each end of the paired bootstrap over lines.
LINES_TAIL = 0.005


class UnresolvedError(Exception):
    """Raised for a baseline that cannot resolve a limit; the message says why."""


class IncomparableError(Exception):
    """Raised for two values that cannot be compared; the message says why."""


@dataclass(frozen=True)
class Pair:
    """The input of a comparison: a measurement in the baseline and in the run.

    Attributes:
        measure: its declaration.
        before: the baseline's side.
        after: the run's.
        limit: the allowed change.
        commit: what the baseline was measured at.
    """

    measure: Measure
    before: Measured
    after: Measured
    limit: Limit
    commit: str = ""

    def verdict(self, word: str, before: Any, after: Any, change: str = "", reason: str = "") -> Verdict:
        """The verdict; worse, better and unclear are replaced by the measurement's own words."""
        words = {WORSE: self.measure.worse, BETTER: self.measure.better, UNCLEAR: INCONCLUSIVE}
        return Verdict(
            "",
            self.measure.name,
            words.get(word, word),
            self.measure.shown(before),
            self.measure.shown(after),
            self.measure.unit,
            change,
            "" if word == NOT_COMPARABLE else str(self.limit),
            reason,
        )


def percent(change: float, low: float | None = None, high: float | None = None) -> str:
    """A relative change with its interval."""
    interval = "" if low is None or high is None else f" [{low:+.1%}, {high:+.1%}]"
    return f"{change:+.1%}{interval}".replace("%", " %")


def _number(pair: Pair, side: Measured) -> float:
    value = pair.measure.value(side)
    if not isinstance(value, int | float) or not isfinite(value):
        raise IncomparableError(f"{pair.measure.key} is {value!r}, not a finite number")
    return value


def _scalar(pair: Pair, old: float, new: float, change: float) -> Verdict:
    allowed = pair.limit.allowed(old)
    word = WORSE if change > allowed else BETTER if change < -allowed else SAME
    return pair.verdict(word, old, new, percent(change / old) if old else f"{change:+g}")


def scalar(pair: Pair) -> Verdict:
    """Compare two numbers that are exact, or of which only a large change counts."""
    old, new = _number(pair, pair.before), _number(pair, pair.after)
    return _scalar(pair, old, new, new - old)


def _latencies(pair: Pair) -> list[Latency]:
    """The records of both sides, whose ratios to the anchor are numbers."""
    found = [side.record for side in (pair.before, pair.after) if isinstance(side.record, Latency)]
    for ratios in (record.anchor_ratios for record in found):
        if not ratios or not all(isinstance(ratio, int | float) and 0 < ratio < inf for ratio in ratios):
            raise IncomparableError(f"anchor_ratios is {ratios}, not positive numbers")
    return found


def deployment_latency(pair: Pair) -> Verdict:
    """Compare ratios to the anchor: in them the state of the machine cancels out."""
    old, new = _number(pair, pair.before), _number(pair, pair.after)
    before, after = (over_processes(record.anchor_ratios).value for record in _latencies(pair))
    return _scalar(pair, old, new, old * (after / before - 1))


def tail_latency(pair: Pair) -> Verdict:
    """Compare the 95th percentiles in units of the anchor's median call, if both sides have enough calls."""
    sides = _latencies(pair)
    if scarce := [record.timed_calls_count for record in sides if record.timed_calls_count < P95_SAMPLES]:
        return pair.verdict(SAME, None, None, reason=f"{scarce[0]} calls support no percentile")
    old, new = _number(pair, pair.before), _number(pair, pair.after)
    # Seconds of the anchor: those of a process / its ratio.
    anchors = [
        median(seconds / ratio for seconds, ratio in zip(record.process_medians_s, record.anchor_ratios, strict=True))
        for record in sides
    ]
    return _scalar(pair, old, new, old * (new / anchors[1] / (old / anchors[0]) - 1))


def same_file(pair: Pair) -> Verdict:
    """Compare the SHA-256 of the artifacts."""
    old, new = pair.measure.value(pair.before), pair.measure.value(pair.after)
    if old == new:
        return pair.verdict(SAME, old, new)
    return pair.verdict(NOT_COMPARABLE, old, new, reason="artifact_sha256 differs: promote a new baseline")


def _lines(side: Measured, key: str) -> np.ndarray:
    values, count = getattr(side.record, key), side.identity and side.identity.lines_count
    if values is None:
        raise IncomparableError(f"{key} is missing on one side")
    if len(values) != count or not len(values):
        raise IncomparableError(f"{key} has {len(values)} lines, lines_count says {count}")
    return values


def _paired(pair: Pair, weights: np.ndarray, points: str = "") -> Verdict:
    """Compare with a paired bootstrap over the lines that both sides have: one may have read fewer, from the first."""
    old, new = _lines(pair.before, pair.measure.key), _lines(pair.after, pair.measure.key)
    count = min(len(old), len(new))
    return _paired_lines(pair, old[:count], new[:count], weights[:count], points)


def _paired_lines(pair: Pair, old: np.ndarray, new: np.ndarray, weights: np.ndarray, points: str) -> Verdict:
    """Compare two values of each line.

    Args:
        pair: for its measurement and limit.
        old: (N,), such as edits.
        new: (N,), of the same lines.
        weights: (N,), such as reference characters.
        points: unit of the shown change.
    """
    before, after = (float(side.sum() / weights.sum()) for side in (old, new))
    if not (isfinite(before) and isfinite(after)):
        raise IncomparableError(f"{pair.measure.key} holds values that are not finite")
    change, (low, high) = paired_difference(new, old, weights, LINES_TAIL)
    scale = pair.measure.scale
    shown = f"{change * scale:+.3f} [{low * scale:+.3f}, {high * scale:+.3f}]{points}"
    return pair.verdict(decide(change, low, high, pair.limit.allowed(before)), before, after, shown)


def edits(pair: Pair) -> Verdict:
    """Compare CERs, from the edits of each line; with those of the larger test split, if both sides read it."""
    sides = [side.record for side in (pair.before, pair.after) if isinstance(side.record, Accuracy)]
    characters = _lines(pair.after, "line_characters")
    before, after, weights = sides[0].larger_line_edits, sides[1].larger_line_edits, sides[1].larger_line_characters
    whole = [_lines(side, pair.measure.key) for side in (pair.before, pair.after)]
    if before is None or after is None or weights is None or len(whole[0]) != len(whole[1]):
        return _paired(pair, characters, " points")
    if not len(before) == len(after) == len(weights):
        raise IncomparableError("the larger test splits differ in their number of lines")
    old, new = np.concatenate([whole[0], before]), np.concatenate([whole[1], after])
    return _paired_lines(pair, old, new, np.concatenate([characters, weights]), " points")


def losses(pair: Pair) -> Verdict:
    """Compare mean CTC losses, from the loss of each line."""
    if all(pair.measure.value(side) is None for side in (pair.before, pair.after)):
        return pair.verdict(SAME, None, None, reason="a recognizer that returns texts has no loss")
    record = pair.after.record
    count = len(record.line_losses_nats) if isinstance(record, Accuracy) and record.line_losses_nats is not None else 0
    return _paired(pair, np.ones(count), pair.measure.unit)


def reference(measure: Measure, ratios: Sequence[float], limit: Limit, commit: str = "") -> Reference:
    """A baseline's process pairs, as the sequential plan takes them.

    Where they spread so widely that they do not resolve the limit, the least increase that they do resolve takes
    its place, unless pairs with the baseline's commit can decide.

    Args:
        measure: the measurement's declaration.
        ratios: of the pairs.
        limit: the allowed change.
        commit: what they were measured at, if it is at hand.

    Raises:
        UnresolvedError: that is more than the measurement allows.
    """
    if commit:
        return Reference(tuple(ratios), limit.allowed(1), measure.key, commit)
    least, allowed = resolved(ratios), limit.allowed(1)
    if least > max(measure.widest, allowed):
        spread = f"{100 * Typical.of(ratios).spread:.1f} %"
        raise UnresolvedError(f"the baseline's {len(ratios)} pairs spread by {spread}: too widely for {limit}")
    return Reference(tuple(ratios), max(allowed, least), measure.key)


def _direct_pairs(pair: Pair, compared: Reference, ratios: Sequence[float]) -> Verdict:
    """Compare with the baseline's commit itself, which was measured because pairs with the anchor were not green."""
    try:
        found, (ratio, low, high) = compared.direct.verdict(ratios, ()), ratio_interval(ratios, (), LAST_TAIL)
        before, after = (typical(pair.measure.value(side)) for side in (pair.before, pair.after))
    except (ValueError, TypeError) as error:
        raise IncomparableError(str(error)) from None
    reason = f"{len(ratios)} process pairs with commit {pair.commit[:10]}"
    return pair.verdict(found, before, after, percent(ratio - 1, low - 1, high - 1), reason)


def process_pairs(pair: Pair) -> Verdict:
    """Compare ratios to the anchor, from the process pairs of both sides."""
    key, record = pair.measure.key, pair.after.record
    if not isinstance(record, RelativeLatency | Deployment):
        raise IncomparableError("no process pairs")
    old, new, confirmation = pair.measure.value(pair.before), pair.measure.value(pair.after), record.confirmation(key)
    direct = record.direct(pair.commit)
    try:
        compared = reference(pair.measure, old, pair.limit, pair.commit if direct is not None else "")
        if direct and key in direct:
            return _direct_pairs(pair, compared, direct[key])
        found, shown = compared.verdict(new, confirmation), compared.decisive(new, confirmation)
        ratio, low, high = ratio_interval(shown, old, LAST_TAIL)
    except UnresolvedError as error:
        # Compared with itself it is the same all the same.
        word = SAME if old and old == new else UNCLEAR
        return pair.verdict(word, typical(old), typical(new), reason=str(error))
    except (ValueError, TypeError) as error:
        raise IncomparableError(str(error)) from None
    before, after = (typical(side) if side else None for side in (old, shown))
    count = f"{len(new)} process pairs"
    if shown is not new:
        count += f" and {len(confirmation)} later ones"
    if found == WORSE and 2 * record.disturbed > len(new) + len(confirmation):
        found = UNCLEAR
        count += f", {record.disturbed} of them while the machine was slower than it can be: measure again"
    verdict = pair.verdict(found, before, after, percent(ratio - 1, low - 1, high - 1), count)
    if compared.allowed <= pair.limit.allowed(1):
        return verdict
    wider = f"{100 * compared.allowed:.1f} %, the least that the baseline's {len(old)} pairs resolve"
    return replace(verdict, limit=wider)
