"""What became of each measurement: one variant's benchmark before and after, judged by limits.

``before`` and ``after`` are the ``extra_info`` of the same benchmark in two JSON files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from statistics import median
from typing import Any

from crnn.gate.intervals import ratio_interval
from crnn.gate.limits import Limit
from crnn.gate.sequential import BETTER, SAME, SCREEN_TAIL, UNCLEAR, WORSE, Reference, decide
from crnn.measure.accuracy import paired_difference
from crnn.measure.packing import unpack

INCONCLUSIVE, MISSING, NEW, NOT_COMPARABLE = "inconclusive", "missing", "new", "not comparable"
UNLIKE_MACHINES = "measured on unlike machines"
_BAD = ("slower", "worse", "larger")
_GOOD = ("same", "faster", "better", "smaller", NEW)
REGRESSED_STATUS, INCONCLUSIVE_STATUS, INCOMPARABLE_STATUS = 10, 11, 12

# Of the paired bootstrap over lines, at each end.
LINES_TAIL = 0.005

# Without one of these agreeing, two numbers answer different questions.
_CORPUS = ("corpus_sha256", "lines_count")
_ENGINE = ("runtime", "device")
_DEPLOYED = (*_CORPUS, *_ENGINE, "threads_count")
_GATE_SETTING = ("anchor", "anchor_sha256", "gate_batch_size_lines", "gate_threads_count", "gate_pinned", "gate_plan")
_PAIRED = (*_CORPUS, *_ENGINE, *_GATE_SETTING)


@dataclass(frozen=True)
class Measure:
    """One thing that is compared.

    Attributes:
        name: as in ``limits.DEFAULTS``.
        key: of ``extra_info``, what is compared.
        shows: key whose presence in a baseline says that this was measured there; ``key`` where empty.
        worse: the word for more of it.
        better: the word for less of it.
        agree: keys that have to agree.
        same_machine: whether machines and environments have to be alike.
        scale: what the value is multiplied with to be shown in the unit.
        unit: for the reader.
    """

    name: str
    key: str
    worse: str
    better: str
    agree: tuple[str, ...] = _CORPUS
    same_machine: bool = False
    scale: float = 1
    unit: str = ""
    shows: str = ""

    def measured_in(self, info: Mapping[str, Any]) -> bool:
        """Whether a benchmark measures this; the artifact's hash stands in all of them and is asked of one."""
        return (self.shows or self.key) in info

    def shown(self, value: Any) -> str:
        """A value for the reader."""
        if isinstance(value, str):
            return value[:12]
        if value is None:
            return "-"
        scaled = value * self.scale
        return f"{scaled:,.0f}{self.unit}" if isinstance(value, int) else f"{scaled:.4g}{self.unit}"


MEASURES: tuple[Measure, ...] = (
    Measure("latency", "gate_ratios", "slower", "faster", _PAIRED, True, 1, " x anchor"),
    Measure("deployed", "latency_median_s", "slower", "faster", _DEPLOYED, True, 1e3, " ms"),
    Measure("cer", "line_edits", "worse", "better", scale=100, unit=" %", shows="cer_fraction"),
    Measure("loss", "line_losses_nats", "worse", "better", unit=" nats", shows="ctc_loss_nats_per_line"),
    Measure("parameters", "parameters_stored_count", "larger", "smaller"),
    Measure("nonzero", "parameters_nonzero_count", "larger", "smaller"),
    Measure("multiply_adds", "multiply_adds_per_line_count", "larger", "smaller"),
    Measure("bytes", "file_bytes", "larger", "smaller", unit=" bytes"),
    Measure("compressed", "compressed_bytes", "larger", "smaller", unit=" bytes"),
    Measure("memory", "peak_memory_bytes", "larger", "smaller", _DEPLOYED, True, unit=" bytes"),
    Measure("artifact", "artifact_sha256", "changed", "changed", shows="file_bytes"),
)


@dataclass(frozen=True)
class Verdict:
    """What became of one measurement.

    Attributes:
        test: full name of the benchmark.
        measure: what of it; ``all`` for the whole benchmark.
        word: ``same``, ``slower`` and so on.
        before: value for the reader.
        after: value for the reader.
        change: for the reader, with its interval and the limit.
        reason: why it is what it is, where the numbers alone do not tell.
        baseline: which one.
    """

    test: str
    measure: str
    word: str
    before: str = ""
    after: str = ""
    change: str = ""
    reason: str = ""
    baseline: str = "baseline"

    @property
    def status(self) -> int:
        """The exit status it asks for; 0 where it passes."""
        if self.word in _BAD:
            return REGRESSED_STATUS
        if self.word in _GOOD:
            return 0
        return INCONCLUSIVE_STATUS if self.word == INCONCLUSIVE else INCOMPARABLE_STATUS

    def __str__(self) -> str:
        values = f": {self.before} -> {self.after}" if self.before or self.after else ""
        tail = "".join(f"; {part}" for part in (self.change, self.reason) if part)
        subject = self.test if self.measure == "all" else f"{self.measure} of {self.test}"
        baseline = f"the {self.baseline}" if self.baseline.endswith("baseline") else self.baseline
        return f"{subject} is {self.word} against {baseline}{values}{tail}"


class _IncomparableError(Exception):
    """Two values that cannot be compared; the message says why."""


def _number(info: Mapping[str, Any], key: str) -> float:
    value = info[key]
    if not isinstance(value, int | float) or not isfinite(value):
        raise _IncomparableError(f"{key} is {value!r}, no number")
    return value


def _percent(change: float, low: float | None = None, high: float | None = None) -> str:
    interval = "" if low is None or high is None else f" [{low:+.1%}, {high:+.1%}]"
    return f"{change:+.1%}{interval}".replace("%", " %")


def _scalar(measure: Measure, before: Mapping[str, Any], after: Mapping[str, Any], limit: Limit) -> Verdict:
    """A number that is exact, or that only a gross change of counts."""
    old, new = _number(before, measure.key), _number(after, measure.key)
    change, allowed = new - old, limit.allowed(old)
    if measure.name == "deployed" and before.get("speedup_ratio") and after.get("speedup_ratio"):
        # Paired with the original in the same run: what the machine did that day cancels out.
        change = old * (_number(before, "speedup_ratio") / _number(after, "speedup_ratio") - 1)
    word = measure.worse if change > allowed else measure.better if change < -allowed else SAME
    shown = _percent(change / old) if old else f"{change:+g}"
    return Verdict("", measure.name, word, measure.shown(old), measure.shown(new), f"{shown}, allowed {limit}")


def _artifact(measure: Measure, before: Mapping[str, Any], after: Mapping[str, Any], _: Limit) -> Verdict:
    """Exactly the same file."""
    old, new = before[measure.key], after[measure.key]
    shown = (measure.shown(old), measure.shown(new))
    if old == new:
        return Verdict("", measure.name, SAME, *shown)
    return Verdict("", measure.name, NOT_COMPARABLE, *shown, reason="artifact_sha256 differs: promote a new baseline")


def _lines(info: Mapping[str, Any], key: str) -> Any:
    try:
        values = unpack(info[key])
    except ValueError as error:
        raise _IncomparableError(f"{key}: {error}") from None
    if len(values) != info.get("lines_count") or not len(values):
        raise _IncomparableError(f"{key} has {len(values)} lines, lines_count says {info.get('lines_count')}")
    return values


def _per_line(measure: Measure, before: Mapping[str, Any], after: Mapping[str, Any], limit: Limit) -> Verdict:
    """CER and loss, by a paired bootstrap over the same lines."""
    old, new = _lines(before, measure.key), _lines(after, measure.key)
    weights = _lines(after, "line_characters")
    if measure.name == "loss":
        weights = weights * 0.0 + 1
    values = [float(side.sum() / weights.sum()) for side in (old, new)]
    if not all(map(isfinite, values)):
        raise _IncomparableError(f"{measure.key} holds values that are not finite")
    change, (low, high) = paired_difference(new, old, weights, LINES_TAIL)
    found = decide(change, low, high, limit.allowed(values[0]))
    word = {WORSE: measure.worse, BETTER: measure.better, UNCLEAR: INCONCLUSIVE}.get(found, found)
    scale, unit = measure.scale, " points" if measure.name == "cer" else measure.unit
    shown = f"{change * scale:+.3f} [{low * scale:+.3f}, {high * scale:+.3f}]{unit}, allowed {limit}"
    return Verdict("", measure.name, word, measure.shown(values[0]), measure.shown(values[1]), shown)


def reference(before: Mapping[str, Any], limit: Limit) -> Reference:
    """A baseline's process pairs, to measure against."""
    return Reference(tuple(before["gate_ratios"]), limit.allowed(1))


def _ratio(measure: Measure, before: Mapping[str, Any], after: Mapping[str, Any], limit: Limit) -> Verdict:
    """Latency, by the process pairs of both."""
    old, new = before[measure.key], after[measure.key]
    confirmation = after.get("gate_confirmation_ratios") or ()
    try:
        found = reference(before, limit).verdict(new, confirmation, after.get("gate_family_count") or 1)
        ratio, low, high = ratio_interval(confirmation or new, old, SCREEN_TAIL)
    except (ValueError, TypeError) as error:
        raise _IncomparableError(str(error)) from None
    word = {WORSE: measure.worse, BETTER: measure.better, UNCLEAR: INCONCLUSIVE}.get(found, found)
    before_median, after_median = (measure.shown(median(side) if side else None) for side in (old, confirmation or new))
    pairs = f"{len(new)} process pairs" + (f", again in {len(confirmation)} fresh ones" if confirmation else "")
    shown = f"{_percent(ratio - 1, low - 1, high - 1)}, allowed {limit}"
    return Verdict("", measure.name, word, before_median, after_median, shown, pairs)


_HOW: Mapping[str, Callable[[Measure, Mapping[str, Any], Mapping[str, Any], Limit], Verdict]] = {
    "latency": _ratio,
    "cer": _per_line,
    "loss": _per_line,
    "artifact": _artifact,
}


def comparable(measure: Measure, before: Mapping[str, Any], after: Mapping[str, Any], unlike: Sequence[str]) -> str:
    """Why two values cannot be compared, empty if they can.

    Args:
        measure: what is compared.
        before: the baseline's benchmark.
        after: the run's.
        unlike: fields in which the machines differ.
    """
    if measure.same_machine and unlike:
        return f"{UNLIKE_MACHINES}: {', '.join(unlike)}"
    fields = [
        f"{key} ({before.get(key)}, {after.get(key)})" for key in measure.agree if before.get(key) != after.get(key)
    ]
    if fields:
        return f"differs in {', '.join(fields)}"
    for side, info in (("baseline", before), ("run", after)):
        if measure.key not in info:
            return f"the {side} has no {measure.key}"
    return ""


def compare(
    test: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    limits: Mapping[str, Limit],
    *,
    unlike: Sequence[str] = (),
    baseline: str = "baseline",
) -> list[Verdict]:
    """The verdicts of one benchmark.

    Args:
        test: its full name.
        before: the baseline's ``extra_info``.
        after: the run's.
        limits: of its variant, see ``limits_of``.
        unlike: fields in which the machines differ.
        baseline: what to call the baseline.
    """
    verdicts = []
    judged = [measure for measure in MEASURES if limits[measure.name].number is not None]
    for measure in judged:
        if not measure.measured_in(before):
            if measure.measured_in(after):
                verdicts.append(Verdict(test, measure.name, NEW, baseline=baseline))
            continue
        limit = limits[measure.name]
        if reason := comparable(measure, before, after, unlike):
            verdict = Verdict("", measure.name, NOT_COMPARABLE, reason=reason)
        else:
            try:
                verdict = _HOW.get(measure.name, _scalar)(measure, before, after, limit)
            except _IncomparableError as error:
                verdict = Verdict("", measure.name, NOT_COMPARABLE, reason=str(error))
        verdicts.append(replace(verdict, test=test, baseline=baseline))
    return verdicts


def status(verdicts: Sequence[Verdict]) -> int:
    """The exit status of them all: a regression counts before a comparison that failed, that before an unclear one."""
    found = {verdict.status for verdict in verdicts}
    return next((code for code in (REGRESSED_STATUS, INCOMPARABLE_STATUS, INCONCLUSIVE_STATUS) if code in found), 0)
