"""Measure hundreds of process pairs, to learn how often the gate is wrong.

    python -m benchmarks.evidence.collect --out pairs.csv --variants ort-torch2onnx-optimized,ov-fp32 --minutes 60

Each round measures each variant once per setting and plant, in changing order, so that a variant's pairs are spread
over all the time; each pair is appended as a row when it is measured. While a file named ``pause`` lies beside the
output, the script waits between two pairs.
"""

import argparse
import csv
import random
import time
from dataclasses import replace
from pathlib import Path

from crnn import registry
from crnn.corpus import open_corpus
from crnn.measure import process_pairs
from crnn.measure.conversions import ready
from crnn.measure.process_pairs import ONE_THREAD, Setting, deployment
from crnn.measure.workload import Workload
from crnn.runtimes.base import runtime_class

SETTINGS = {"one-thread": ONE_THREAD, "deployment": deployment(128)}
HEADINGS = ("variant", "setting", "planted", "unix_s", "order", "seconds", "latency", "largest", "start",
            "largest_first_call", "load")  # fmt: skip


def _workloads(variant: registry.Variant, planted: str) -> list[Workload]:
    """The variant, slowed down if something is planted, and its anchor."""
    own = Workload.of(variant, ready(variant, open_corpus(None)))
    if planted != "0":
        how = {"share": float(planted)} if planted.replace(".", "").isdigit() else {"reason": planted}
        options = {"engine": variant.runtime, "options": dict(own.options), **how}
        own = replace(own, runtime="crnn.tests.slowed_runtime", options=options)
    return [own, Workload("anchor", runtime_class(variant.runtime).anchor)]


def _row(workloads: list[Workload], lines: object, setting: Setting, order: int) -> list[str]:
    start = time.monotonic()
    pair = process_pairs.measure(workloads, lines, setting, order=order, counts_threads=False)
    sizes = sorted(pair.calls)
    ratios = (
        pair.calls[sizes[0]],
        pair.calls[sizes[-1]],
        pair.start,
        pair.first_calls[sizes[-1]],
        pair.load,
    )
    return [f"{time.monotonic() - start:.2f}", *(f"{ratio:.5f}" for ratio in ratios)]


def main() -> None:
    """Measure the pairs that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", required=True, help="comma-separated names")
    parser.add_argument("--settings", default=",".join(SETTINGS), help="comma-separated, both by default")
    parser.add_argument(
        "--planted",
        default="0",
        help="comma-separated slowdowns: shares such as 0.05, or reasons of crnn/tests/slowed_runtime.py",
    )
    parser.add_argument("--minutes", type=float, required=True)
    given = parser.parse_args()
    lines = open_corpus(None).test.take(range(256))
    kinds = [
        (name, setting, planted, _workloads(registry.get(name), planted))
        for name in given.variants.split(",")
        for setting in given.settings.split(",")
        for planted in given.planted.split(",")
    ]
    until, order = time.monotonic() + 60 * given.minutes, 0
    with given.out.open("a", newline="", encoding="ascii") as file:
        rows = csv.writer(file, lineterminator="\n")
        if not file.tell():
            rows.writerow(HEADINGS)
        while time.monotonic() < until:
            for name, setting, planted, workloads in random.sample(kinds, len(kinds)):
                while given.out.with_name("pause").exists():
                    time.sleep(1)
                measured = _row(workloads, lines, SETTINGS[setting], order)
                rows.writerow([name, setting, planted, int(time.time()), order % 2, *measured])
                file.flush()
            order += 1


if __name__ == "__main__":
    main()
