"""Keep of full runs what their speed-ups are made of, and learn whether later runs confirm the first one.

    pytest benchmarks --benchmark-json=run.json
    python -m benchmarks.evidence.coverage keep run.json 1.json
    python -m benchmarks.evidence.coverage compare 1.json 2.json 3.json

Runs are on one machine, at different hours.
"""

import argparse
import json
from collections.abc import Sequence
from itertools import combinations
from math import log
from pathlib import Path
from statistics import median, stdev
from typing import Any, NamedTuple

from crnn.gate.runs import read
from crnn.measure.records import Latency, measured
from crnn.measure.speedup import NO_DIFFERENCE, RERUN, Estimate, quotient

REFERENCE = "torch-original"
# Rows that do the work of another row, by the same kernels: the truth is 1.
SAME_WORK = {
    "torch-clustered-16": "torch-original",
    "torch-clustered-64": "torch-original",
    "tf-magnitude-pruned-full": "tf-original",
    "tf-magnitude-pruned-partial": "tf-original",
    "tf-clustered-16": "tf-original",
    "tf-clustered-64": "tf-original",
    "tf-magnitude-pruned-clustered": "tf-original",
    "tf-original-packed": "tf-original",
    "ort-tf2onnx-optimized": "ort-tf2onnx",
    "ort-torch2onnx-optimized": "ort-torch2onnx",
}
Ratios = dict[tuple[str, int], list[float]]


def keep(path: Path, out: Path) -> None:
    """Write ratios to the anchor, medians and disturbances of each latency, with machine, time and order."""
    run, latencies = read(path), []
    for info in run.benchmarks.values():
        entry = measured(info)
        if entry is None or entry.identity is None or not isinstance(entry.record, Latency):
            continue
        record = entry.record
        latencies.append(
            {
                "variant": entry.identity.variant,
                "batch_size": record.batch_size_lines,
                "anchor_ratios": [round(ratio, 5) for ratio in record.anchor_ratios],
                "process_medians_s": [round(seconds, 6) for seconds in record.process_medians_s],
                "disturbed": record.disturbed_pairs_count,
                "remeasured": record.remeasured_pairs_count,
            }
        )
    content = {
        "started": run.session["parts"][0]["started"],
        "commit": run.content["commit_info"]["id"],
        "fingerprint": run.fingerprint,
        "order_seed": run.session["order_seed"],
        "latencies": sorted(latencies, key=lambda entry: (str(entry["variant"]), entry["batch_size"])),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def ratios(run: dict[str, Any]) -> Ratios:
    """Ratios to the anchor, by variant and batch size."""
    return {(entry["variant"], entry["batch_size"]): entry["anchor_ratios"] for entry in run["latencies"]}


def _speedup(found: Ratios, name: str, reference: str, size: int) -> Estimate:
    rows = [of_row for (_, at), of_row in found.items() if at == size]
    return quotient(found[name, size], found[reference, size], rows)


def speedups(found: Ratios) -> dict[tuple[str, int], Estimate]:
    """Speed-ups over the reference at batch 1 and at the largest batch."""
    sizes = {size for _, size in found}
    return {
        (name, size): _speedup(found, name, REFERENCE, size)
        for name, size in found
        if size in (min(sizes), max(sizes)) and name != REFERENCE
    }


def _overlap(one: Estimate, other: Estimate) -> bool:
    (low, high), (other_low, other_high) = one.interval or (0, 0), other.interval or (0, 0)
    return low <= other_high and other_low <= high


def _expects(first: Estimate, later: Estimate) -> bool:
    """Whether a later estimate lies in the first interval, widened by the square root of two."""
    ends = first.interval or (first.value, first.value)
    low, high = (log(first.value) + RERUN * (log(end) - log(first.value)) for end in ends)
    return low <= log(later.value) <= high


class Agreement(NamedTuple):
    """How far runs confirm each other, one entry per case.

    Attributes:
        overlaps: of each speed-up and pair of runs: whether the two intervals overlap.
        confirmed: of each speed-up and later run: whether its estimate lies in the first run's widened interval.
        verdicts: of each run, row and batch size where the truth is 1.
    """

    overlaps: list[bool]
    confirmed: list[bool]
    verdicts: list[str]

    @property
    def wrong(self) -> int:
        """Number of verdicts other than that no difference is shown."""
        return sum(verdict != NO_DIFFERENCE for verdict in self.verdicts)


def agreement(runs: Sequence[Ratios]) -> Agreement:
    """How far runs in chronological order confirm each other."""
    gains = [speedups(run) for run in runs]
    return Agreement(
        overlaps=[_overlap(a[key], b[key]) for a, b in combinations(gains, 2) for key in a.keys() & b.keys()],
        confirmed=[_expects(gains[0][key], run[key]) for run in gains[1:] for key in gains[0].keys() & run.keys()],
        verdicts=[
            _speedup(run, name, SAME_WORK[name], size).verdict
            for run in runs
            for name, size in run
            if name in SAME_WORK
        ],
    )


def compare(paths: Sequence[Path]) -> None:
    """Print how far kept runs confirm each other, and the spread between processes."""
    runs = [ratios(json.loads(path.read_text("utf-8"))) for path in paths]
    found = agreement(runs)
    confirmed = f"{sum(found.confirmed)} of {len(found.confirmed)}"
    print(f"intervals that overlap: {sum(found.overlaps)} of {len(found.overlaps)}")  # noqa: T201 a command
    print(f"later estimates in the first run's widened intervals: {confirmed}")  # noqa: T201 a command
    print(f"verdicts where the truth is 1: {found.wrong} of {len(found.verdicts)}")  # noqa: T201 a command
    for size in sorted({size for run in runs for _, size in run}):
        spreads = [stdev(map(log, found)) for run in runs for (_, at), found in run.items() if at == size]
        print(f"standard deviation between processes, batch {size}: median {median(spreads):.1%}")  # noqa: T201


def main() -> None:
    """Keep a run, or compare kept ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(required=True)
    keeping = actions.add_parser("keep")
    keeping.add_argument("run", type=Path, metavar="RUN.json")
    keeping.add_argument("out", type=Path, metavar="OUT.json")
    keeping.set_defaults(act=lambda given: keep(given.run, given.out))
    comparing = actions.add_parser("compare")
    comparing.add_argument("kept", type=Path, nargs="+", metavar="KEPT.json")
    comparing.set_defaults(act=lambda given: compare(given.kept))
    arguments = parser.parse_args()
    arguments.act(arguments)


if __name__ == "__main__":
    main()
