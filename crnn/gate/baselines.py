"""Baselines: which saved run is one, which is unfit and why, and how a run becomes one.

Each kind of machine has its folder, so that the baselines of several lie side by side. In it lie the
rolling baseline, the pinned one, which shows creep, and the runs that users save.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crnn.gate.intervals import Typical
from crnn.gate.measures import MEASURES, PAIRED, paired
from crnn.gate.runs import Run, limits_for, read
from crnn.gate.sequential import BASELINE_LOOKS, resolved
from crnn.measure.pace import SLOW
from crnn.measure.packing import fold
from crnn.measure.pair_records import Pairs
from crnn.measure.record import Record
from crnn.measure.records import measured

ROLLING, PINNED = "0001_baseline.json", "pinned.json"
FOLDER = Path(__file__).parents[2] / "fixtures" / "baselines"
"""Holds a folder per kind of machine."""

# What makes two machines unlike for good; versions of libraries change on the same machine.
_HARDWARE = ("system", "architecture", "cpu", "cores", "accelerator")
# As pytest-benchmark names a run that nobody named: by commit and time.
_AUTOSAVED = re.compile(r"\d{4}_(?:[0-9a-f]{40}|unversioned)_\d{8}_\d{6}(?:_uncommited-changes)?\.json")


def machine_key(fingerprint: Mapping[str, Any]) -> str:
    """The folder of a kind of machine, such as ``linux-x86_64-amd-epyc-25-1-1-2-cores``."""
    parts = {name: str(fingerprint[name]) for name in _HARDWARE if fingerprint.get(name)}
    parts["cores"] += "-cores"
    return re.sub(r"[^a-z0-9_]+", "-", "-".join(parts.values()).lower()).strip("-")


def is_autosaved(path: Path) -> bool:
    """Whether ``--benchmark-autosave`` wrote it: nobody has looked at such a run, so it is no baseline by default."""
    return _AUTOSAVED.fullmatch(path.name) is not None


def _pair_faults(test: str, info: Mapping[str, Any], commit: str) -> Iterator[str]:
    """Why process pairs are no baseline: too few, or they spread too widely for the limit.

    What spreads is decided by pairs with the baseline's commit, if that is known.
    """
    limits = limits_for(info, {})
    for measure in MEASURES:
        limit = limits[measure.name]
        if measure.record not in PAIRED or measure.key not in info or limit.number is None:
            continue
        count = len(ratios := info[measure.key])
        if count < BASELINE_LOOKS[0]:
            yield f"{test}: {count} process pairs of {BASELINE_LOOKS[0]}: a compared run stops early"
        elif not commit and resolved(ratios) > max(measure.widest, limit.allowed(1)):
            spreads = f"{100 * Typical.of(ratios).spread:.1f} %"
            yield f"{test}: {measure.name} spreads by {spreads}: {count} pairs do not resolve {limit}"


def _slow_paces(run: Run) -> Iterator[str]:
    """Rows whose pairs were measured at a slow pace: their ratios are those of another machine."""
    anchors: dict[tuple[type[Record], str], dict[str, float]] = {}
    for test, info in run.benchmarks.items():
        entry = measured(info)
        if entry and isinstance(entry.record, Pairs) and entry.record.anchor_s:
            if 2 * (slow := entry.record.disturbed) > len(info[paired(entry.record)[0].key]):
                yield f"{test}: {slow} pairs were measured while the machine was slower than it can be"
            of = (type(entry.record), entry.record.paired_with)
            anchors.setdefault(of, {})[test] = entry.record.anchor_s
    for found in anchors.values():
        for test, seconds in found.items():
            if seconds > SLOW * min(found.values()):
                times = f"{1e3 * seconds:.1f} ms, {1e3 * min(found.values()):.1f} ms beside other rows"
                yield f"{test}: the machine was slower than it can be: the anchor's fastest call took {times}"


def busy(run: Run) -> list[str]:
    """Whether the machine was busy before the run: then its times are no baseline."""
    disturbed = run.session.get("machine", {}).get("disturbed_before")
    return [f"the machine was busy before the run: {disturbed}"] if disturbed else []


def faults(run: Run) -> list[str]:
    """Reasons why a run must not become a baseline."""
    found = run.faults
    if not (session := run.session):
        return found
    found += ["a --quick run"] if session["quick"] else []
    found += [f"{count} of the suite's benchmarks left out"] if (count := session["left_out"]) else []
    found += [f"{name} was not run, or not all of it" for name in session.get("files_left_out", [])]
    found += [*busy(run), *_slow_paces(run)]
    return found + [fault for test, info in run.benchmarks.items() for fault in _pair_faults(test, info, run.commit)]


def promote(run: Run, folder: Path, pinned_because: str | None = None) -> list[Path]:
    """Write a run into the folder of baselines, without the raw seconds of its calls; shared arrays are saved once.

    Args:
        run: the run to promote; check ``faults`` first.
        folder: of this kind of machine.
        pinned_because: the reason to move the pinned baseline too; None to leave it. Where there is none yet, it is
            written in any case.

    Returns:
        The files written.
    """
    for entry in run.content["benchmarks"]:
        entry["stats"].pop("data", None)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / PINNED).exists():
        pinned_because = pinned_because or "the first baseline of this kind of machine"
    before = read(folder / ROLLING).session.get("promotions", 0) if (folder / ROLLING).exists() else 0
    session = run.content.setdefault("crnn", {})
    session["promotions"] = 1 if pinned_because else before + 1
    written = [_write(run.content, folder / ROLLING)]
    if pinned_because:
        session["pinned"] = {"reason": pinned_because, "date": datetime.now(UTC).date().isoformat()}
        written.append(_write(run.content, folder / PINNED))
    return written


def _write(content: Mapping[str, Any], path: Path) -> Path:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(fold(content), separators=(",", ":")) + "\n", "utf-8")
    return temporary.replace(path)


def newest(files: Sequence[Path]) -> Path | None:
    """The newest run that somebody saved by name; None if there is none."""
    named = [path for path in files if not is_autosaved(path)]
    return named[-1] if named else None
