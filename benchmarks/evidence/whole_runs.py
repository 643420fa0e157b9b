"""Whole runs of unchanged code against one baseline, and a simulation of a thousand more from their pairs.

    pytest benchmarks --benchmark-json=base.json; python -m crnn baseline promote base.json
    pytest benchmarks --benchmark-compare --benchmark-json=run1.json        # an hour later, and so on
    python -m benchmarks.evidence.whole_runs keep base.json run1.json run2.json
    python -m benchmarks.evidence.whole_runs simulate 1000

``keep`` writes ``whole_runs.json``: the verdicts of each run, and the process pairs that they come from. ``simulate``
adds how the gate would judge runs that are drawn from these pairs.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from crnn.gate.comparisons import UnresolvedError, reference
from crnn.gate.measures import MEASURES, PAIRED
from crnn.gate.runs import Run, limits_for, read
from crnn.gate.sequential import BETTER, SAME, UNCLEAR, Reference, measure, of
from crnn.measure.records import measured

KEPT = Path(__file__).with_name("whole_runs.json")
Pairs = dict[str, dict[str, list[list[float]]]]
"""Ratios of the screen and of the confirmation, by test and field of the record."""


def pairs(run: Run) -> Pairs:
    """The process pairs of a saved run."""
    found: Pairs = {}
    for test, info in run.benchmarks.items():
        entry = measured(info)
        if entry is None or type(entry.record) not in PAIRED:
            continue
        for declared in (declared for declared in MEASURES if declared.record is type(entry.record)):
            both = declared.value(entry), entry.record.confirmation(declared.key)
            found.setdefault(test, {})[declared.key] = [[round(ratio, 5) for ratio in side] for side in both]
    return found


def words(run: Run) -> dict[str, dict[str, int]]:
    """How often each verdict was given against the rolling baseline, by measurement."""
    found: dict[str, Counter[str]] = {}
    for info in run.benchmarks.values():
        for name, word in info.get("gate_verdicts", {}).items():
            measurement, _, baseline = name.partition(", ")
            if baseline == "baseline":
                found.setdefault(measurement, Counter())[word] += 1
    return {name: dict(counts) for name, counts in sorted(found.items())}


def _seconds(run: Run, key: str) -> float:
    return sum(info.get(key) or 0 for info in run.benchmarks.values())


def _kept(run: Run) -> dict[str, Any]:
    part = run.session["parts"][0]
    return {
        "started": part["started"],
        "commit": run.content["commit_info"]["id"],
        "pairs_s": round(_seconds(run, "gate_pairs_s") + _seconds(run, "deployed_pairs_s"), 1),
        "verdicts": words(run),
        "failed": run.session["failed"],
        "pairs": pairs(run),
    }


def keep(base: Path, later: Sequence[Path]) -> None:
    """Write what of each run is evidence."""
    runs = [read(path) for path in (base, *later)]
    content = {"baseline": _kept(runs[0]), "runs": [_kept(run) for run in runs[1:]]}
    KEPT.write_text(json.dumps(content) + "\n", "utf-8")


@dataclass(frozen=True)
class Drawn:
    """Where a simulated test's pairs come from: what the real ones showed.

    Attributes:
        centre: mean of the log ratios over all pairs, float (Q,).
        between: standard deviation of a whole run's log ratios, float (Q,), without that of its pairs.
        residuals: of each pair, from the mean of its run, float (N, Q); quantities of a pair stay together.
    """

    centre: np.ndarray
    between: np.ndarray
    residuals: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[np.ndarray]) -> "Drawn":
        """From the log ratios of each run, float (N_i, Q): variance components of a one-way layout with random runs."""
        counts, means = np.array([len(run) for run in runs]), [run.mean(axis=0) for run in runs]
        total, centre = counts.sum(), np.concatenate(runs).mean(axis=0)
        residuals = np.concatenate([run - mean for run, mean in zip(runs, means, strict=True)])
        within = (residuals**2).sum(axis=0) / (total - len(runs))
        spread = sum(count * (mean - centre) ** 2 for count, mean in zip(counts, means, strict=True)) / (len(runs) - 1)
        size = (total - (counts**2).sum() / total) / (len(runs) - 1)
        between = np.sqrt(np.maximum(0, (spread - within) / size))
        return cls(centre, between, residuals * sqrt(total / (total - len(runs))))


def drawn(kept: Mapping[str, Any], test: str, keys: Sequence[str]) -> Drawn:
    """What the pairs of the baseline and of all runs show of a test."""
    found = [run["pairs"][test] for run in (kept["baseline"], *kept["runs"]) if test in run["pairs"]]
    both = [[of_run[key][0] + of_run[key][1] for key in keys] for of_run in found]
    return Drawn.of([np.log(np.array(run)).T for run in both])


def simulate(kept: Mapping[str, Any], number: int) -> dict[str, str]:
    """The words of a simulated whole run that are not ``same``, by test and measurement.

    Args:
        kept: the content of ``whole_runs.json``.
        number: of the run; it seeds the draws.
    """
    draws, found = np.random.default_rng([2026, number]), {}
    for test, saved in kept["baseline"]["pairs"].items():
        limits = limits_for({"variant": test.partition("[")[2].rstrip("]")}, {})
        references: dict[str, Reference] = {}
        for declared in (declared for declared in MEASURES if declared.key in saved):
            if limits[declared.name].number is None:
                continue
            try:
                references[declared.name] = reference(declared, saved[declared.key][0], limits[declared.name])
            except UnresolvedError:
                found[f"{test} {declared.name}"] = UNCLEAR
        keys = [compared.quantity for compared in references.values()]
        source = drawn(kept, test, keys)
        shift = source.centre + draws.normal(0, source.between)

        def pair(source: Drawn = source, shift: np.ndarray = shift, keys: Sequence[str] = keys) -> dict[str, float]:
            return dict(zip(keys, np.exp(shift + draws.choice(source.residuals)).tolist(), strict=True))

        measured_pairs = measure(pair, list(references.values()))
        for name, compared in references.items():
            key = compared.quantity
            word = compared.verdict(of(measured_pairs.screen, key), of(measured_pairs.confirmation, key))
            if word not in (SAME, BETTER):
                found[f"{test} {name}"] = word
    return found


def simulate_all(count: int) -> None:
    """Add simulated runs to ``whole_runs.json``, and print how many are not green."""
    kept = json.loads(KEPT.read_text("utf-8"))
    with ProcessPoolExecutor() as workers:
        found = list(workers.map(simulate, repeat(kept, count), range(count), chunksize=10))
    kept["simulated"] = {"count": count, "not green": {number: words for number, words in enumerate(found) if words}}
    KEPT.write_text(json.dumps(kept) + "\n", "utf-8")
    tally = Counter(word for words in found for word in words.values())
    print(f"{sum(map(bool, found))} of {count} simulated runs are not green: {dict(tally)}")  # noqa: T201 a command


def main() -> None:
    """Keep runs, or simulate more."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(required=True)
    keeping = actions.add_parser("keep")
    keeping.add_argument("base", type=Path, metavar="BASE.json")
    keeping.add_argument("runs", type=Path, nargs="+", metavar="RUN.json")
    keeping.set_defaults(act=lambda given: keep(given.base, given.runs))
    simulating = actions.add_parser("simulate")
    simulating.add_argument("count", type=int)
    simulating.set_defaults(act=lambda given: simulate_all(given.count))
    arguments = parser.parse_args()
    arguments.act(arguments)


if __name__ == "__main__":
    main()
