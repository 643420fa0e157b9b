"""Do blocks at a slow pace give other ratios? Time pairs of blocks for some time, whatever the machine does.

    python -m benchmarks.evidence.paces ort-pruned-int8,ov-distilled-int8 --minutes 5

Adds each process's pairs of blocks to ``paces.json``: seconds per call of the variant and of its anchor, at deployment
settings with one line. Prints, per row, the typical ratio of the processes and its standard deviation between them:
of all blocks, and of those beside which the anchor took at most 1.2 times its fastest block.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median, stdev

import numpy as np

from crnn import registry
from crnn.corpus import open_corpus
from crnn.measure import process_pairs
from crnn.measure.conversions import ready
from crnn.measure.latency import Plan, Side, run_pairs, warm_up
from crnn.measure.pace import SLOW
from crnn.measure.process_pairs import Setting
from crnn.measure.workload import Workload
from crnn.runtimes.base import runtime_class

KEPT = Path(__file__).with_name("paces.json")
Blocks = list[list[float]]
"""Seconds per call of the variant's and of the anchor's blocks, in pairs."""
_SETTING = Setting((1,), Plan(warmup_s=0.1, pairs=24, block_s=0.03))


def _blocks(name: str, order: int) -> Blocks:
    """One pair of fresh processes."""
    variant, corpus = registry.get(name), open_corpus(None)
    own = Workload.of(variant, ready(variant, corpus), corpus)
    workloads = [own, Workload("anchor", runtime_class(variant.runtime).anchor)]
    with process_pairs.loaded(workloads, corpus.test.take(range(256)), _SETTING, order=order) as (workers, _):
        sides = [Side(worker, 1) for worker in workers]
        warm_up(sides, _SETTING.plan)
        run_pairs(sides, _SETTING.plan)
        return [[round(median(block), 7) for block in side.blocks] for side in sides]


def ratios(processes: list[Blocks], slowest: float) -> list[float]:
    """The median ratio of each process that has blocks beside a fast anchor.

    Args:
        processes: of one row.
        slowest: times the anchor's fastest block that count as fast.
    """
    fastest = min(min(anchor) for _, anchor in processes)
    found = []
    for own, anchor in processes:
        kept = [one / other for one, other in zip(own, anchor, strict=True) if other <= slowest * fastest]
        found += [median(kept)] if kept else []
    return found


def summary(processes: list[Blocks]) -> dict[str, tuple[int, float, float]]:
    """Number of processes, typical ratio and standard deviation of its logarithm: of all blocks, and of fast ones."""
    found = {"all": ratios(processes, float("inf")), "fast": ratios(processes, SLOW)}
    return {name: (len(side), median(side), stdev(np.log(side).tolist())) for name, side in found.items()}


def main() -> None:
    """Measure, keep and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", help="comma-separated names")
    parser.add_argument("--minutes", type=float, required=True)
    given = parser.parse_args()
    kept: dict[str, list[Blocks]] = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    until, order = time.monotonic() + 60 * given.minutes, 0
    while time.monotonic() < until:
        for name in given.rows.split(","):
            kept.setdefault(name, []).append(_blocks(name, order))
        KEPT.write_text(json.dumps(kept) + "\n", "utf-8")
        order += 1
    for name, processes in kept.items():
        for which, (count, ratio, deviation) in summary(processes).items():
            print(f"{name}, {which} blocks: {count} processes, {ratio:.3f}, {deviation:.1%}")  # noqa: T201 a command


if __name__ == "__main__":
    main()
