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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, repeat
from math import sqrt
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from crnn.gate.comparisons import reference
from crnn.gate.measures import MEASURES, PAIRED
from crnn.gate.runs import Run, limits_for, read
from crnn.gate.sequential import (
    BETTER,
    SAME,
    SUSPECTING_LOOKS,
    Pairs,
    Reference,
    not_green,
    of,
    screen,
    screen_directly,
)
from crnn.measure.records import measured

KEPT = Path(__file__).with_name("whole_runs.json")
KeptPairs = dict[str, dict[str, list[list[float]]]]
"""Ratios to the anchor, and to the baseline's commit, by test and field of the record."""


def pairs(run: Run, commit: str) -> KeptPairs:
    """The process pairs of a saved run; the commit is that of the baseline."""
    found: KeptPairs = {}
    for test, info in run.benchmarks.items():
        entry = measured(info)
        if entry is None or type(entry.record) not in PAIRED:
            continue
        for declared in (declared for declared in MEASURES if declared.record is type(entry.record)):
            direct = entry.record.direct(commit) or {}
            both = declared.value(entry), direct.get(declared.key, [])
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


def _kept(run: Run, commit: str) -> dict[str, Any]:
    part = run.session["parts"][0]
    return {
        "started": part["started"],
        "commit": run.content["commit_info"]["id"],
        "pairs_s": round(_seconds(run, "gate_pairs_s") + _seconds(run, "deployed_pairs_s"), 1),
        "verdicts": words(run),
        "failed": run.session["failed"],
        "pairs": pairs(run, commit),
    }


def keep(base: Path, later: Sequence[Path]) -> None:
    """Write what of each run is evidence."""
    runs = [read(path) for path in (base, *later)]
    content = {"baseline": _kept(runs[0], ""), "runs": [_kept(run, runs[0].commit) for run in runs[1:]]}
    KEPT.write_text(json.dumps(content) + "\n", "utf-8")


@dataclass(frozen=True)
class Drawn:
    """Where a simulated test's pairs come from: what the real ones showed.

    Attributes:
        centre: mean of the log ratios over all pairs, float (Q,).
        between: standard deviation of a whole run's log ratios, float (Q,), without that of its pairs.
        effects: half of the difference between pairs in which the variant went first and those in which it went
            second, by run, float (R, Q): it is there after a machine's start, and fades.
        residuals: of each pair, from the mean of those of its run and order, float (N, Q). Quantities of a pair stay
            together.
    """

    centre: np.ndarray
    between: np.ndarray
    effects: np.ndarray
    residuals: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[np.ndarray]) -> "Drawn":
        """From the log ratios of each run, float (N_i, Q): variance components of a one-way layout with random runs."""
        effects = np.array([(run[::2].mean(axis=0) - run[1::2].mean(axis=0)) / 2 for run in runs])
        runs = [run - effect * _signs(len(run)) for run, effect in zip(runs, effects, strict=True)]
        counts, means = np.array([len(run) for run in runs]), [run.mean(axis=0) for run in runs]
        total, centre = counts.sum(), np.concatenate(runs).mean(axis=0)
        residuals = np.concatenate([run - mean for run, mean in zip(runs, means, strict=True)])
        freedom = total - 2 * len(runs)
        within = (residuals**2).sum(axis=0) / freedom
        spread = sum(count * (mean - centre) ** 2 for count, mean in zip(counts, means, strict=True)) / (len(runs) - 1)
        size = (total - (counts**2).sum() / total) / (len(runs) - 1)
        between = np.sqrt(np.maximum(0, (spread - within) / size))
        return cls(centre, between, effects, residuals * sqrt(total / freedom))

    def pairs(self, shift: np.ndarray, effect: np.ndarray, draws: np.random.Generator) -> Iterator[np.ndarray]:
        """The log ratios of one pair after another, float (Q,), in alternating order.

        Args:
            shift: their mean.
            effect: of the order.
            draws: source of chance.
        """
        for sign in cycle((1, -1)):
            yield shift + sign * effect + draws.choice(self.residuals)


def _signs(count: int) -> np.ndarray:
    """1 and -1 in turn, (N, 1)."""
    return np.where(np.arange(count) % 2, -1, 1)[:, None]


@dataclass(frozen=True)
class Compared:
    """A test of the gate, whose runs can be drawn.

    Attributes:
        references: what a run is compared with, by measurement.
        source: of the pairs, in the order of the references.
    """

    references: dict[str, Reference]
    source: Drawn

    @classmethod
    def of(cls, kept: Mapping[str, Any], test: str) -> "Compared":
        """From the content of ``whole_runs.json``: all runs that have the test tell how its pairs spread."""
        runs = [run["pairs"][test] for run in (kept["baseline"], *kept["runs"]) if test in run["pairs"]]
        limits = limits_for({"variant": test.partition("[")[2].rstrip("]")}, {})
        references = {
            declared.name: reference(declared, runs[0][declared.key][0], limits[declared.name], "baseline")
            for declared in MEASURES
            if declared.key in runs[0] and limits[declared.name].number is not None
        }
        logs = [np.log([run[one.quantity][0] for one in references.values()]).T for run in runs]
        return cls(references, Drawn.of(logs))

    def words(self, draws: np.random.Generator, changes: Mapping[str, float] = MappingProxyType({})) -> dict[str, str]:
        """The verdicts on a run that is drawn, by measurement.

        Pairs with the baseline's commit spread as those with the anchor do, but do not drift.

        Args:
            draws: source of chance.
            changes: true changes in limits, by measurement; the others are unchanged.
        """
        compared = list(self.references.values())
        keys = [one.quantity for one in compared]
        changed = np.log1p([changes.get(name, 0.0) * one.allowed for name, one in self.references.items()])

        effect = draws.choice(self.source.effects)

        def pairs(shift: np.ndarray) -> Callable[[], dict[str, float]]:
            logs = self.source.pairs(shift, effect, draws)
            return lambda: dict(zip(keys, np.exp(next(logs)).tolist(), strict=True))

        drift = draws.normal(0, self.source.between)
        found = screen(pairs(self.source.centre + drift + changed), compared, looks=SUSPECTING_LOOKS).screen
        suspected = not_green(compared, Pairs(found), SUSPECTING_LOOKS)
        direct = screen_directly(pairs(changed), suspected).screen if suspected else []
        return {
            name: one.direct.verdict(of(direct, one.quantity), ())
            if one in suspected
            else one.word(of(found, one.quantity))
            for name, one in self.references.items()
        }


def simulate(tests: Mapping[str, Compared], number: int) -> dict[str, str]:
    """The words of a simulated whole run that are not green, by test and measurement.

    Args:
        tests: all tests of the gate.
        number: of the run; it seeds the draws.
    """
    draws, found = np.random.default_rng([2026, number]), {}
    for test, compared in tests.items():
        words = compared.words(draws)
        found.update({f"{test} {name}": word for name, word in words.items() if word not in (SAME, BETTER)})
    return found


def simulate_all(count: int) -> None:
    """Add simulated runs to ``whole_runs.json``, and print how many are not green."""
    kept = json.loads(KEPT.read_text("utf-8"))
    tests = {test: Compared.of(kept, test) for test in kept["baseline"]["pairs"]}
    with ProcessPoolExecutor() as workers:
        found = list(workers.map(simulate, repeat(tests), range(count), chunksize=10))
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
