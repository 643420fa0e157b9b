"""Saved runs: read, compare, promote to baseline."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from crnn.gate.compare import compare
from crnn.gate.limits import Limit
from crnn.gate.machines import Machines
from crnn.gate.measures import MEASURES, PAIRED, limits_of
from crnn.gate.strictness import KEY, loosened
from crnn.gate.verdicts import MISSING, NEW, NOT_COMPARABLE, Verdict
from crnn.measure.packing import saved
from crnn.registry import VARIANTS

QUICK = "a --quick run: it has fewer lines and no process pairs"


class RunError(ValueError):
    """A saved run that cannot be used; the message names the file."""


@dataclass(frozen=True)
class Run:
    """A saved run.

    Attributes:
        path: where it was read from.
        content: the whole JSON.
        benchmarks: the ``extra_info`` of each benchmark, by full name.
    """

    path: Path
    content: dict[str, Any]
    benchmarks: dict[str, dict[str, Any]]

    @property
    def fingerprint(self) -> dict[str, Any] | None:
        """The fingerprint of the machine that it was measured on; None if none was saved."""
        return self.content.get("machine_info", {}).get("fingerprint")

    @property
    def session(self) -> dict[str, Any]:
        """How the session went: ``quick``, ``failed``, ``left_out``, ``files_left_out``, ``interrupted``."""
        return self.content.get("crnn", {})

    @property
    def commit(self) -> str:
        """What it was measured at; empty if the tree had changes that were not committed, or nobody knows."""
        info = self.content.get("commit_info", {})
        return "" if info.get("dirty", True) else info.get("id", "")

    def artifacts(self, variant: str) -> set[str | None]:
        """The checksums of a variant's artifact: one, or none if it has no result."""
        return {info.get("artifact_sha256") for info in self.benchmarks.values() if info.get("variant") == variant}

    @property
    def faults(self) -> list[str]:
        """Why it cannot be compared at all: it failed, was interrupted, or holds values that are no numbers."""
        if not self.session:
            return ["no session record: saved by an older version"]
        found = [f"{test} failed" for test in self.session["failed"]]
        found += ["interrupted"] if self.session["interrupted"] else []
        return found + [fault for test, info in self.benchmarks.items() for fault in _no_numbers(test, info)]


def _no_numbers(test: str, info: Mapping[str, Any]) -> Iterator[str]:
    for name, value in info.items():
        values = value if isinstance(value, list) else [value]
        if any(isinstance(one, float) and not isfinite(one) for one in values):
            yield f"{test}: {name} is {value}"


def read(path: Path) -> Run:
    """Read a pytest-benchmark JSON of this suite.

    Raises:
        RunError: the file is missing, truncated, in another format, or without a measurement of this suite.
    """
    try:
        content = saved(path)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        empty = not path.stat().st_size
        raise RunError(f"{path} is {'empty' if empty else f'truncated or not JSON: {error}'}") from None
    try:
        benchmarks = {entry["fullname"]: entry["extra_info"] for entry in content["benchmarks"]}
    except (KeyError, TypeError):
        raise RunError(f"{path} is not a pytest-benchmark JSON") from None
    if not any("variant" in info for info in benchmarks.values()):
        raise RunError(f"{path} holds no measurement of this suite")
    return Run(path, content, benchmarks)


# One pair of processes per row resolves no smaller change.
_QUICK_FACTOR = 3


def limits_for(info: Mapping[str, Any], asked: Mapping[str, Limit], *, quick: bool = False) -> dict[str, Limit]:
    """The limits of the variant that a benchmark belongs to.

    Args:
        info: the benchmark's ``extra_info``.
        asked: limits that override the defaults and the registry's.
        quick: whether the run is a --quick one: its process pairs have three times the limit, and memory has none,
            because it grows with the largest batch size.
    """
    own = next((v.thresholds.gate for v in VARIANTS if v.name == info.get("variant")), {})
    limits = limits_of(own, asked)
    for measure in MEASURES if quick else ():
        limit = limits[measure.name]
        if measure.record in PAIRED and limit.number is not None:
            limits[measure.name] = replace(limit, number=_QUICK_FACTOR * limit.number)
    return {**limits, **({"memory": Limit(None)} if quick and "memory" not in asked else {})}


def compare_runs(
    before: Run,
    after: Run,
    asked: Mapping[str, Limit],
    baseline: str = "baseline",
    *,
    accept_versions: bool = False,
    any_machine: bool = False,
) -> list[Verdict]:
    """The verdicts on two saved runs; nothing is measured.

    Args:
        before: the older run.
        after: the newer run.
        asked: limits that override the defaults and the registry's.
        baseline: the older run's name in the verdicts.
        accept_versions: whether times are compared although versions of libraries differ.
        any_machine: whether it is no fault that times of unlike machines are not compared.
    """
    machines = Machines.of(before.fingerprint, after.fingerprint, accept_versions=accept_versions)
    verdicts = [] if any_machine else machines.verdict(baseline)
    for side, run in ((baseline, before), ("run", after)):
        verdicts += [Verdict(side, "all", NOT_COMPARABLE, reason=fault, baseline=baseline) for fault in run.faults]
    if before.session.get("quick") and not after.session.get("quick"):
        verdicts.append(Verdict(baseline, "all", NOT_COMPARABLE, reason=QUICK, baseline=baseline))
    for test, old in before.benchmarks.items():
        if (new := after.benchmarks.get(test)) is None:
            verdicts.append(Verdict(test, "all", MISSING, reason="the run has no such benchmark", baseline=baseline))
        else:
            limits = limits_for(old, asked, quick=bool(after.session.get("quick")))
            verdicts += compare(test, old, new, limits, machines=machines, baseline=baseline, commit=before.commit)
    for test, info in after.benchmarks.items():
        if test not in before.benchmarks:
            verdicts.append(new_verdict(test, info, before, baseline))
    return verdicts + strictness_verdicts(before, after.session.get(KEY), baseline)


def new_verdict(test: str, info: Mapping[str, Any], before: Run, baseline: str) -> Verdict:
    """The verdict on a benchmark that the baseline lacks: new, unless a part of the suite was left out there.

    Args:
        test: its full name.
        info: its ``extra_info``.
        before: the baseline.
        baseline: its name in the verdict.
    """
    known = before.session.get(KEY)
    partial = before.session.get("left_out") or before.session.get("files_left_out")
    if partial and (known is None or info.get("variant") in known["variants"]):
        reason = "the baseline is a partial run, without it"
        return Verdict(test, "all", NOT_COMPARABLE, reason=reason, baseline=baseline)
    return Verdict(test, "all", NEW, baseline=baseline)


def strictness_verdicts(before: Run, after: Mapping[str, Any] | None, baseline: str = "baseline") -> list[Verdict]:
    """What is looser than in a saved run; nothing if that is older than the record of it.

    Args:
        before: the older run.
        after: of the newer one, see ``strictness``; None if it has no record.
        baseline: the older run's name in the verdicts.
    """
    old = before.session.get(KEY)
    if old and not after:
        reason = "the run does not record its limits and thresholds"
        return [Verdict("limits and thresholds", "all", MISSING, reason=reason, baseline=baseline)]
    return loosened(old, after, baseline) if old and after else []
