"""Verdicts on one benchmark: the same test in a baseline and in a run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from crnn.gate.comparisons import IncomparableError, Pair
from crnn.gate.limits import Limit
from crnn.gate.measures import MEASURES, Measure
from crnn.gate.verdicts import NEW, NOT_COMPARABLE, UNLIKE_MACHINES, Verdict
from crnn.measure.records import Measured, RecordError, measured

Info = Mapping[str, Any]
"""A benchmark's ``extra_info``."""


def _read(info: Info, side: str) -> Measured:
    try:
        found = measured(info)
    except RecordError as error:
        raise IncomparableError(f"the {side} is damaged or too old: {error}") from None
    if found is None or found.identity is None:
        raise IncomparableError(f"the {side} holds no measurement of a variant")
    return found


def comparable(measure: Measure, before: Measured, after: Measured, unlike: Sequence[str]) -> str:
    """Why two measurements cannot be compared; empty if they can.

    Args:
        measure: the measurement's declaration.
        before: the baseline's.
        after: the run's.
        unlike: fields in which the machines' fingerprints differ.
    """
    if measure.same_machine and unlike:
        return f"{UNLIKE_MACHINES}: {', '.join(unlike)}"
    values = {key: (measure.value(before, key), measure.value(after, key)) for key in measure.agree}
    fields = [f"{key} ({old}, {new})" for key, (old, new) in values.items() if old != new]
    return f"differs in {', '.join(fields)}" if fields else ""


def _compared(measure: Measure, before: Info, after: Info, limit: Limit, unlike: Sequence[str]) -> Verdict:
    try:
        sides = _read(before, "baseline"), _read(after, "run")
        if reason := comparable(measure, *sides, unlike):
            raise IncomparableError(reason)
        return measure.compare(Pair(measure, *sides, limit))
    except IncomparableError as error:
        return Verdict("", measure.name, NOT_COMPARABLE, reason=str(error))


def compare(
    test: str,
    before: Info,
    after: Info,
    limits: Mapping[str, Limit],
    *,
    unlike: Sequence[str] = (),
    baseline: str = "baseline",
) -> list[Verdict]:
    """The verdicts on one benchmark.

    Args:
        test: its full name.
        before: the baseline's ``extra_info``.
        after: the run's.
        limits: of its variant, see ``limits_of``.
        unlike: fields in which the machines' fingerprints differ.
        baseline: the baseline's name in the verdicts.
    """
    verdicts = []
    for measure in MEASURES:
        limit = limits[measure.name]
        if limit.number is None:
            continue
        if measure.measured_in(before):
            verdict = _compared(measure, before, after, limit, unlike)
        elif measure.measured_in(after):
            verdict = Verdict("", measure.name, NEW)
        else:
            continue
        verdicts.append(replace(verdict, test=test, baseline=baseline))
    return verdicts
