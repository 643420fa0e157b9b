"""Saved runs: read, compare, promote to baseline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crnn.gate.compare import compare
from crnn.gate.limits import Limit
from crnn.gate.measures import limits_of
from crnn.gate.sequential import BASELINE_PAIRS
from crnn.gate.verdicts import MISSING, NEW, Verdict
from crnn.measure.fingerprint import differing
from crnn.registry import VARIANTS

ROLLING, PINNED = "0001_baseline.json", "pinned.json"


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
        """How the session went: ``quick``, ``failed``, ``left_out``, ``interrupted``."""
        return self.content.get("crnn", {})


def read(path: Path) -> Run:
    """Read a pytest-benchmark JSON of this suite.

    Raises:
        RunError: the file is missing, truncated, in another format, or without a measurement of this suite.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
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


def unlike_machines(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    """Fields in which two fingerprints differ; a missing one differs from any."""
    if not before or not after:
        return ["fingerprint (none saved)"]
    return differing(before, after)


def limits_for(info: Mapping[str, Any], asked: Mapping[str, Limit]) -> dict[str, Limit]:
    """The limits of the variant that a benchmark belongs to."""
    own = next((v.thresholds.gate for v in VARIANTS if v.name == info.get("variant")), {})
    return limits_of(own, asked)


def compare_runs(before: Run, after: Run, asked: Mapping[str, Limit], baseline: str = "baseline") -> list[Verdict]:
    """The verdicts on two saved runs; nothing is measured.

    Args:
        before: the older run.
        after: the newer run.
        asked: limits that override the defaults and the registry's.
        baseline: the older run's name in the verdicts.
    """
    unlike = unlike_machines(before.fingerprint, after.fingerprint)
    family = max(1, sum("gate_ratios" in info for info in before.benchmarks.values()))
    verdicts = []
    for test, old in before.benchmarks.items():
        if (new := after.benchmarks.get(test)) is None:
            verdicts.append(Verdict(test, "all", MISSING, reason="the run has no such benchmark", baseline=baseline))
            continue
        new = {"gate_family_count": family} | new
        verdicts += compare(test, old, new, limits_for(old, asked), unlike=unlike, baseline=baseline)
    verdicts += [
        Verdict(test, "all", NEW, baseline=baseline) for test in after.benchmarks if test not in before.benchmarks
    ]
    return verdicts


def faults(run: Run) -> list[str]:
    """Reasons why a run must not become a baseline."""
    session = run.session
    if not session:
        return ["no session record: saved by an older version"]
    found = [f"{test} failed" for test in session["failed"]]
    found += ["interrupted"] if session["interrupted"] else []
    found += ["a --quick run"] if session["quick"] else []
    found += [f"{count} of the suite's benchmarks left out"] if (count := session["left_out"]) else []
    found += [
        f"{test}: {len(info['gate_ratios'])} process pairs of {BASELINE_PAIRS}: a compared run stops early"
        for test, info in run.benchmarks.items()
        if len(info.get("gate_ratios", range(BASELINE_PAIRS))) < BASELINE_PAIRS
    ]
    return found


def promote(run: Run, folder: Path, names: Sequence[str] = (ROLLING,)) -> list[Path]:
    """Write a run into the folder of baselines, without the raw seconds of its calls.

    Args:
        run: the run to promote; check ``faults`` first.
        folder: the folder of this kind of machine in ``fixtures/baselines``.
        names: ``ROLLING``, ``PINNED`` or both.

    Returns:
        The files written.
    """
    for entry in run.content["benchmarks"]:
        entry["stats"].pop("data", None)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in names:
        temporary = folder / f".{name}"
        temporary.write_text(json.dumps(run.content, indent=1) + "\n", "utf-8")
        written.append(temporary.replace(folder / name))
    return written
