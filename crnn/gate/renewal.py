"""A baseline's process pairs, measured again without the rest.

A whole run takes longer, and runs at different hours cover more states of the machine.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from crnn.gate.baselines import busy
from crnn.gate.measures import PAIRED
from crnn.gate.runs import QUICK, Run, RunError
from crnn.gate.strictness import KEY
from crnn.measure.pair_records import Pairs, pooled
from crnn.measure.records import Identity, kind_of, measured

# What makes two measurements those of one row.
_SAME = ("variant", "artifact_sha256", "corpus_sha256", "device", "runtime")


def renewed(baseline: Run, runs: Sequence[Run]) -> Run:
    """The baseline with the process pairs of later runs on the same machine, pooled; all else stays.

    Args:
        baseline: a whole run.
        runs: at least one, of ``benchmarks/test_gate.py``; rows that none of them has keep their pairs.

    Returns:
        What can be promoted if it has no fault, see ``baselines.faults``. It is of the runs' commit if all its
        pairs are, else of the baseline's.

    Raises:
        RunError: a run cannot serve; the message says why.
    """
    for run in runs:
        if found := run.faults + busy(run) + ([QUICK] if run.session.get("quick") else []):
            raise RunError(f"{run.path}: {'; '.join(found)}")
        if run.fingerprint != baseline.fingerprint:
            raise RunError(f"{run.path} is of another machine, or of other versions of libraries, than the baseline")
    content = copy.deepcopy(baseline.content)
    paired = [entry for entry in content["benchmarks"] if kind_of(entry["extra_info"]) in PAIRED]
    count = 0
    for entry in paired:
        if having := [run for run in runs if entry["fullname"] in run.benchmarks]:
            entry["extra_info"], count = _pooled(entry["fullname"], entry["extra_info"], having), count + 1
    if not count:
        raise RunError(f"{runs[0].path} has no process pairs: run pytest benchmarks/test_gate.py --benchmark-json=FILE")
    renewals, whole = [run.content["datetime"] for run in runs], count == len(paired)
    if whole and len({run.commit for run in runs}) == 1:
        # Pairs with this commit confirm slowdowns, so all ratios have to be of it.
        content["commit_info"] = runs[-1].content["commit_info"]
    if not whole:
        renewals = [*baseline.session.get("renewed", []), *renewals]
    content["crnn"] |= {KEY: runs[-1].session[KEY], "renewed": renewals}
    return Run(baseline.path, content, {entry["fullname"]: entry["extra_info"] for entry in content["benchmarks"]})


def _pooled(test: str, before: Mapping[str, Any], runs: Sequence[Run]) -> dict[str, Any]:
    """The ``extra_info`` of a benchmark with the pairs of all runs."""
    found = [_pairs(test, before, run) for run in runs]
    try:
        pairs = pooled([record for _, record in found])
    except ValueError as error:
        raise RunError(f"{test}: {error}") from None
    return found[-1][0].to_json() | pairs.to_json()


def _pairs(test: str, before: Mapping[str, Any], run: Run) -> tuple[Identity, Pairs]:
    """What a run measured of a benchmark."""
    entry = measured(info := run.benchmarks[test])
    if entry is None or entry.identity is None or not isinstance(entry.record, Pairs):
        raise RunError(f"{run.path}: {test} holds no process pairs")
    if "gate_verdicts" in info:
        raise RunError(f"{run.path} was itself compared: its pairs stop early")
    if other := [name for name in _SAME if info.get(name) != before.get(name)]:
        raise RunError(f"{run.path}: {test}: not the baseline's row: {', '.join(other)} differs")
    return entry.identity, entry.record
