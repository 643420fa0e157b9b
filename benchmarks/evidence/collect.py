"""Measure hundreds of process pairs of a row with itself, slowed down or not, to learn how often the gate is wrong.

    python -m benchmarks.evidence.collect --out pairs.csv --variants ort-torch2onnx-optimized,ov-fp32 --minutes 60

Each round measures each variant once per setting and slowdown, in changing order, so that a variant's pairs are
spread over all the time; each pair is appended as a row when it is measured. A busy wait as long as the limit and
twice as long is planted in the same processes in which the unchanged calls were timed.
"""

import argparse
import csv
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from crnn import registry
from crnn.corpus import open_corpus
from crnn.corpus.lines import Lines
from crnn.gate.measures import measure
from crnn.measure import process_pairs
from crnn.measure.conversions import ready
from crnn.measure.latency import Side, run_pairs, undisturbed_ratio, warm_up
from crnn.measure.process_pairs import ONE_THREAD, Setting, deployment
from crnn.measure.workload import Workload

SETTINGS = {"one-thread": (ONE_THREAD, "relative_latency"), "deployment": (deployment(128), "deployed")}
"""Settings, and the measurement that has the limit."""
BUSY_WAIT = "busy wait"
HEADINGS = ("variant", "setting", "planted", "unix_s", "order", "seconds", "latency", "largest")


def _workloads(variant: registry.Variant, planted: str, share: np.memmap) -> list[Workload]:
    """The variant, slowed down by what is planted, and as it is."""
    corpus = open_corpus(None)
    own = Workload.of(variant, ready(variant, corpus), corpus)
    how = {"share": str(share.filename)} if planted == BUSY_WAIT else {"reason": planted}
    options = {"engine": variant.runtime, "options": dict(own.options), **how}
    return [replace(own, runtime="crnn.tests.slowed_runtime", options=options), own]


def _ratios(workloads: list[Workload], lines: Lines, setting: Setting, order: int, plant: dict[str, float],
            share: np.memmap) -> dict[str, list[float]]:  # fmt: skip
    """Ratios at the smallest and the largest batch size, by what is planted.

    Args:
        workloads: the variant, slowed down and as it is.
        lines: that both read.
        setting: how they compute.
        order: even: the slowed one goes first.
        plant: fractions of the busy wait, by name.
        share: what the slowed worker reads them from.
    """
    found: dict[str, list[float]] = {name: [] for name in plant}
    with process_pairs.loaded(workloads, lines, setting, order=order, counts_threads=False) as (workers, _):
        for size in setting.batch_sizes:
            sides = [Side(worker, size) for worker in workers]
            ordered = sides if order % 2 == 0 else sides[::-1]
            share[()] = 0.0
            warm_up(ordered, setting.plan)
            for name in random.sample(list(plant), len(plant)):
                share[()] = plant[name]
                for side in sides:
                    side.blocks.clear()
                ratio, _ = undisturbed_ratio(sides[0], sides[1], run_pairs(ordered, setting.plan))
                found[name].append(ratio)
    return found


def main() -> None:
    """Measure the pairs that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", required=True, help="comma-separated names")
    parser.add_argument("--settings", default=",".join(SETTINGS), help="comma-separated, both by default")
    parser.add_argument(
        "--planted",
        default=BUSY_WAIT,
        help="comma-separated: a busy wait, or reasons of crnn/tests/slowed_runtime.py",
    )
    parser.add_argument("--minutes", type=float, required=True)
    given = parser.parse_args()
    lines = open_corpus(None).test.take(range(256))
    with tempfile.NamedTemporaryFile() as holder, given.out.open("a", newline="", encoding="ascii") as file:
        share = np.memmap(holder.name, float, "w+", shape=())
        kinds = [
            (name, setting, planted, _workloads(registry.get(name), planted, share))
            for name in given.variants.split(",")
            for setting in given.settings.split(",")
            for planted in given.planted.split(",")
        ]
        until, order = time.monotonic() + 60 * given.minutes, 0
        rows = csv.writer(file, lineterminator="\n")
        if not file.tell():
            rows.writerow(HEADINGS)
        while time.monotonic() < until:
            for name, setting, planted, workloads in random.sample(kinds, len(kinds)):
                how, limited = SETTINGS[setting]
                shares = [part * measure(limited).limit.allowed(1) for part in (0, 1, 2)]
                plant = {f"{part:g}": part for part in shares} if planted == BUSY_WAIT else {planted: 0.0}
                start, moment = time.monotonic(), int(time.time())
                found = _ratios(workloads, lines, how, order, plant, share)
                spent = f"{time.monotonic() - start:.2f}"
                for what, ratios in found.items():
                    calls = (f"{ratios[0]:.5f}", f"{ratios[-1]:.5f}")
                    rows.writerow([name, setting, what, moment, order % 2, spent, *calls])
                file.flush()
            order += 1


if __name__ == "__main__":
    main()
