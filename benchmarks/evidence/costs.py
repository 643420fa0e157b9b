"""Seconds that a row costs in each phase of a run, averaged per engine, and those of all process pairs.

python -m benchmarks.evidence.costs run.json
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from crnn.gate.runs import read
from crnn.measure.records import Footprint, RelativeLatency, measured

PHASES = ("build", "load", "first calls", "warm up", "pairs", "evaluate")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN.json")
    phases, pairs_s = defaultdict(list), []
    for info in read(parser.parse_args().run).benchmarks.values():
        entry = measured(info)
        if entry and isinstance(entry.record, RelativeLatency) and entry.record.gate_pairs_s:
            pairs_s.append(entry.record.gate_pairs_s)
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
    print(f"process pairs of {len(pairs_s)} rows: {sum(pairs_s):.0f} s")  # noqa: T201 a command


if __name__ == "__main__":
    main()
