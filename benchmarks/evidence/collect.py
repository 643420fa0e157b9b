"""Measure hundreds of process pairs, to learn how often the gate is wrong.

    python -m benchmarks.evidence.collect --out pairs.csv --variants ort-torch2onnx-optimized --count 700

Each pair is appended as a row when it is measured. While a file named ``pause`` lies beside the
output, the script waits between two pairs.
"""

import argparse
import csv
import itertools
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from crnn import registry
from crnn.corpus import open_corpus
from crnn.measure import process_pairs
from crnn.measure.conversions import ready
from crnn.measure.workload import Workload
from crnn.runtimes.base import runtime_class

_HEADINGS = ("variant", "planted", "core", "unix_s", "order", "ratio")
# Half a second of work and half a second of rest, on one core.
_LOAD = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
while True:
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        sum(range(10_000))
    time.sleep(0.5)
"""


def _workloads(variant: registry.Variant, share: float) -> list[Workload]:
    """The variant, slowed by a busy wait if ``share`` is above 0, and its anchor."""
    own = Workload.of(variant, ready(variant, open_corpus(None)))
    if share:
        options = {"engine": variant.runtime, "share": share}
        own = replace(own, runtime="crnn.tests.slowed_runtime", options=options)
    return [own, Workload("anchor", runtime_class(variant.runtime).anchor)]


def main() -> None:
    """Measure the pairs that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", required=True, help="comma-separated names; measured in turn")
    parser.add_argument(
        "--shares", default="0", help="comma-separated planted slowdowns, such as 0.05,0.10; measured in turn"
    )
    parser.add_argument("--count", type=int, required=True, help="pairs per variant and slowdown")
    parser.add_argument("--core", type=int, help="core to measure on; the last one by default")
    parser.add_argument("--load", action="store_true", help="load another core half of the time")
    arguments = parser.parse_args()
    core = process_pairs.gate_core() if arguments.core is None else arguments.core
    process_pairs.gate_core = lambda: core
    lines = open_corpus(None).test.take(range(256))
    shares = [float(share) for share in arguments.shares.split(",")]
    chosen = [registry.get(name) for name in arguments.variants.split(",")]
    kinds = [(variant, share, _workloads(variant, share)) for variant in chosen for share in shares]
    load = None
    if arguments.load:
        other = min(os.sched_getaffinity(0) - {core})
        load = subprocess.Popen([sys.executable, "-c", _LOAD, str(other)])
    try:
        with arguments.out.open("a", newline="", encoding="ascii") as file:
            rows = csv.writer(file, lineterminator="\n")
            if not file.tell():
                rows.writerow(_HEADINGS)
            for order, (variant, share, workloads) in itertools.product(range(arguments.count), kinds):
                while arguments.out.with_name("pause").exists():
                    time.sleep(1)
                pair = process_pairs.measure(workloads, lines, 1, order=order)
                rows.writerow([variant.name, share, core, int(time.time()), order % 2, f"{pair.ratio:.5f}"])
                file.flush()
    finally:
        if load:
            load.kill()


if __name__ == "__main__":
    main()
