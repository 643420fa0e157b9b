"""Several runs of one machine: ratios to the anchor over commits, the gate's verdicts, change points."""

from collections.abc import Mapping, Sequence
from math import exp, log
from statistics import fmean
from typing import Any

import numpy as np

from crnn.report.page.content import Shown

_LEAST_RUNS = 6  # for change points
_PENALTY = 6.0  # in variances of the noise, times the logarithm of the number of runs


def _ratios(content: Mapping[str, Any]) -> dict[str, tuple[float, str]]:
    """Mean ratio to the anchor at one thread, and the gate's verdict on it, by row."""
    found = {}
    for benchmark in content["benchmarks"]:
        info = benchmark["extra_info"]
        if ratios := info.get("gate_ratios"):
            verdicts = info.get("gate_verdicts", {})
            word = next(
                (said for name, said in verdicts.items() if name.startswith("relative_latency")), "not compared"
            )
            found[info["variant"]] = exp(fmean(map(log, ratios))), word
    return found


def change_points(ratios: Sequence[float]) -> list[int]:
    """Positions at which the level of a series changes (PELT; Killick, Fearnhead, Eckley, 2012); none in short ones.

    The noise is that of differences between neighbours, so a change does not count as noise.
    """
    if len(ratios) < _LEAST_RUNS:
        return []
    import ruptures

    logs = np.log(ratios)
    noise = float(np.median(np.abs(np.diff(logs)))) / 0.954 or 1e-6  # 0.954: of a difference of two normal values
    search = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(logs[:, None])
    return search.predict(pen=_PENALTY * noise**2 * log(len(logs)))[:-1]


def values(runs: Sequence[Shown]) -> list[dict[str, Any]]:
    """A value per row and run that has process pairs, oldest run first; empty for fewer than two such runs."""
    dated = sorted(runs, key=lambda run: str(run.content.get("datetime", "")))
    found = [(run.label, _ratios(run.content)) for run in dated]
    found = [(label, ratios) for label, ratios in found if ratios]
    if len(found) < 2:
        return []
    made = []
    for row in dict.fromkeys(name for _, ratios in found for name in ratios):
        own = [(label, *ratios[row]) for label, ratios in found if row in ratios]
        changes = change_points([ratio for _, ratio, _ in own])
        made += [
            {"row": row, "run": label, "ratio": ratio, "verdict": word, "changed": at in changes}
            for at, (label, ratio, word) in enumerate(own)
        ]
    return made
