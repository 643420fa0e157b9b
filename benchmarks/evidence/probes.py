"""Does looking for slow phases make a pair unequal? Process pairs of a model with itself, with and without it.

    python -m benchmarks.evidence.probes torch-compiled,ort-torch2onnx,ov-int8,ort-int8-static --minutes 5

Adds the ratios to ``probes.json``: of the worker that is not probed to the one that is, at one thread. Prints their
means and standard errors.
"""

import argparse
import json
import time
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from crnn import registry
from crnn.corpus import open_corpus
from crnn.measure.conversions import ready
from crnn.measure.pace import Pace
from crnn.measure.process_pairs import measure
from crnn.measure.workload import Workload

KEPT = Path(__file__).with_name("probes.json")


def summary(ratios: list[float]) -> tuple[float, float]:
    """Mean of the logarithms, and its standard error."""
    logs = np.log(ratios).tolist()
    return mean(logs), stdev(logs) / sqrt(len(logs))


def main() -> None:
    """Measure, keep and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", help="comma-separated names")
    parser.add_argument("--minutes", type=float, required=True)
    given = parser.parse_args()
    corpus = open_corpus(None)
    lines = corpus.test.take(range(256))
    kept: dict[str, dict[str, list[float]]] = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    until, order = time.monotonic() + 60 * given.minutes, 0
    while time.monotonic() < until:
        for name in given.rows.split(","):
            variant = registry.get(name)
            own = Workload.of(variant, ready(variant, corpus))
            for which, pace in (("probed", Pace()), ("not probed", None)):
                pair = measure((own, own), lines, order=order, counts_threads=False, pace=pace, alike=True)
                kept.setdefault(name, {}).setdefault(which, []).append(round(pair.ratio, 5))
        KEPT.write_text(json.dumps(kept, indent=0) + "\n", "utf-8")
        order += 1
    for name, found in kept.items():
        for which, ratios in found.items():
            change, error = summary(ratios)
            print(f"{name}, {which}: {len(ratios)} pairs, {change:+.2%} ± {error:.2%}")  # noqa: T201 a command


if __name__ == "__main__":
    main()
