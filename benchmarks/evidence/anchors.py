"""Which anchor drifts as a small model does? Time rows beside ONNX Runtime's anchor and the small one.

    python -m benchmarks.evidence.anchors fastest-torch,ort-pruned-int8 --minutes 5

Adds each pair of fresh processes, one thread on one core, to ``anchors.json``: the ratio of the row's seconds per call
to the anchor's. Prints the standard deviation of the logarithms of each row's ratios, by anchor.
"""

from pathlib import Path
from statistics import stdev

import numpy as np

from benchmarks.evidence.rounds import add_rounds
from crnn.corpus.lines import Lines
from crnn.measure.pace import Pace
from crnn.measure.process_pairs import measure
from crnn.measure.workload import Workload
from crnn.runtimes.anchors import SMALL
from crnn.runtimes.base import runtime_class

KEPT = Path(__file__).with_name("anchors.json")
_ANCHORS = (runtime_class("onnx").anchor, SMALL)


def deviations(ratios: dict[str, list[float]]) -> dict[str, float]:
    """Standard deviation of the logarithms of a row's ratios, by anchor."""
    return {anchor: stdev(np.log(found).tolist()) for anchor, found in ratios.items()}


def _ratios(own: Workload, lines: Lines, order: int) -> dict[str, float]:
    """By anchor."""
    return {
        module.rpartition(".")[2]: measure(
            (own, Workload("anchor", module)), lines, order=order, counts_threads=False, pace=Pace()
        ).ratio
        for module in _ANCHORS
    }


def main() -> None:
    """Measure, keep and print."""
    for name, ratios in add_rounds(KEPT, __doc__.splitlines()[0], _ratios).items():
        for anchor, deviation in deviations(ratios).items():
            print(f"{name}, {anchor}: {len(ratios[anchor])} pairs, {deviation:.1%}")  # noqa: T201 a command


if __name__ == "__main__":
    main()
