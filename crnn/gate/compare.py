"""Verdicts on one benchmark: the same test in a baseline and in a run."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crnn.gate.comparisons import IncomparableError, Pair
from crnn.gate.limits import Limit
from crnn.gate.machines import SAME_MACHINE, Machines
from crnn.gate.measures import MEASURES, Measure
from crnn.gate.verdicts import NEW, NOT_COMPARABLE, Verdict
from crnn.measure.record import RecordError
from crnn.measure.records import Measured, measured

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


def _version_less(runtime: Any) -> Any:
    """An engine's name without its version, ``ONNX Runtime`` of ``ONNX Runtime 1.31.1``."""
    return re.sub(r" \d+(?:\.\w+)*", "", runtime) if isinstance(runtime, str) else runtime


def comparable(measure: Measure, before: Measured, after: Measured, machines: Machines) -> str:
    """Why two measurements cannot be compared; empty if they can.

    Args:
        measure: the measurement's declaration.
        before: the baseline's.
        after: the run's.
        machines: how the machines differ.
    """
    values = {key: (measure.value(before, key), measure.value(after, key)) for key in measure.agree}
    if machines.versions_accepted and "runtime" in values:
        old, new = values["runtime"]
        values["runtime"] = (_version_less(old), _version_less(new))
    fields = [f"{key} ({old}, {new})" for key, (old, new) in values.items() if old != new]
    return f"differs in {', '.join(fields)}" if fields else ""


def _compared(measure: Measure, before: Info, after: Info, limit: Limit, machines: Machines, commit: str) -> Verdict:
    try:
        sides = _read(before, "baseline"), _read(after, "run")
        if reason := comparable(measure, *sides, machines):
            raise IncomparableError(reason)
        return measure.compare(Pair(measure, *sides, limit, commit))
    except IncomparableError as error:
        return Verdict("", measure.name, NOT_COMPARABLE, reason=str(error))


def compare(
    test: str,
    before: Info,
    after: Info,
    limits: Mapping[str, Limit],
    *,
    machines: Machines = SAME_MACHINE,
    baseline: str = "baseline",
    commit: str = "",
) -> list[Verdict]:
    """The verdicts on one benchmark.

    What depends on the machine gets none if the machines are unlike: ``Machines.verdict`` is the one for all of it.

    Args:
        test: its full name.
        before: the baseline's ``extra_info``.
        after: the run's.
        limits: of its variant, see ``limits_of``.
        machines: how the machines differ.
        baseline: the baseline's name in the verdicts.
        commit: what it was measured at.
    """
    verdicts = []
    for measure in MEASURES:
        limit = limits[measure.name]
        if limit.number is None or (measure.same_machine and machines.unlike):
            continue
        if measure.measured_in(before):
            verdict = _compared(measure, before, after, limit, machines, commit)
        elif measure.measured_in(after):
            verdict = Verdict("", measure.name, NEW)
        else:
            continue
        if measure.same_machine and machines.versions:
            across = f"across versions: {', '.join(machines.versions)}"
            verdict = replace(verdict, reason="; ".join(filter(None, (verdict.reason, across))))
        verdicts.append(replace(verdict, test=test, baseline=baseline))
    return verdicts
