"""Which anchor drifts as a small model does? Time rows beside ONNX Runtime's anchor and the small one.

    python -m benchmarks.evidence.anchors fastest-torch,ort-pruned-int8 --minutes 5

Adds each pair of fresh processes, one thread on one core, to ``anchors.json``: the ratio of the row's seconds per call
to the anchor's. Prints the standard deviation of the logarithms of each row's ratios, by anchor.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import stdev

import numpy as np

from crnn import registry
from crnn.corpus import open_corpus
from crnn.measure.conversions import ready
from crnn.measure.process_pairs import ONE_THREAD, measure
from crnn.measure.workload import Workload
from crnn.runtimes.anchors import SMALL
from crnn.runtimes.base import runtime_class

KEPT = Path(__file__).with_name("anchors.json")
_ANCHORS = (runtime_class("onnx").anchor, SMALL)


def deviations(ratios: dict[str, list[float]]) -> dict[str, float]:
    """Standard deviation of the logarithms of a row's ratios, by anchor."""
    return {anchor: stdev(np.log(found).tolist()) for anchor, found in ratios.items()}


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
            for module in _ANCHORS:
                anchor = module.rpartition(".")[2]
                pair = measure((own, Workload("anchor", module)), lines, ONE_THREAD, order=order, counts_threads=False)
                kept.setdefault(name, {}).setdefault(anchor, []).append(round(pair.ratio, 6))
        KEPT.write_text(json.dumps(kept) + "\n", "utf-8")
        order += 1
    for name, ratios in kept.items():
        for anchor, deviation in deviations(ratios).items():
            print(f"{name}, {anchor}: {len(ratios[anchor])} pairs, {deviation:.1%}")  # noqa: T201 a command


if __name__ == "__main__":
    main()
