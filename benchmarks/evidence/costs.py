"""Seconds that a row costs in each phase of a run, averaged per engine, and those of all process pairs by setting.

python -m benchmarks.evidence.costs run.json
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from crnn.gate.runs import read
from crnn.measure.pair_records import Deployment, RelativeLatency
from crnn.measure.records import Footprint, measured

PHASES = ("build", "load", "first calls", "warm up", "pairs", "evaluate")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN.json")
    phases: dict[str, list[dict[str, float]]] = defaultdict(list)
    pairs_s: dict[str, list[float]] = {"at one thread": [], "at deployment settings": []}
    for info in read(parser.parse_args().run).benchmarks.values():
        entry = measured(info)
        if entry and isinstance(entry.record, RelativeLatency):
            pairs_s["at one thread"].append(entry.record.gate_pairs_s or 0.0)
        if entry and isinstance(entry.record, Deployment):
            pairs_s["at deployment settings"].append(entry.record.deployed_pairs_s or 0.0)
        if entry and entry.identity and isinstance(entry.record, Footprint):
            engine = " ".join(word for word in entry.identity.runtime.split() if not word[0].isdigit())
            phases[engine].append(entry.record.phases_s)
    print("| engine | rows |", " | ".join(PHASES), "| all |")  # noqa: T201 a command
    print("|---|---:" + "|---:" * (len(PHASES) + 1) + "|")  # noqa: T201 a command
    for engine, rows in sorted(phases.items()):
        means = [fmean(row.get(phase, 0.0) for row in rows) for phase in PHASES]
        whole = fmean(sum(row.values()) for row in rows)
        cells = " | ".join(f"{mean:.1f}" for mean in (*means, whole))
        print(f"| {engine} | {len(rows)} | {cells} |")  # noqa: T201 a command
    for setting, seconds in pairs_s.items():
        print(f"process pairs {setting}, {len(seconds)} rows: {sum(seconds):.0f} s")  # noqa: T201 a command


if __name__ == "__main__":
    main()
