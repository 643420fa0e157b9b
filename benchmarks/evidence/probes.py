"""Does looking for slow phases make a pair unequal? Process pairs of a model with itself, with and without it.

    python -m benchmarks.evidence.probes torch-compiled,ort-torch2onnx,ov-int8,ort-int8-static --minutes 5

Adds the ratios to ``probes.json``: of the worker that is not probed to the one that is, at one thread. Prints their
means and standard errors.
"""

from math import sqrt
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from benchmarks.evidence.rounds import add_rounds
from crnn.corpus.lines import Lines
from crnn.measure.pace import Pace
from crnn.measure.process_pairs import measure
from crnn.measure.workload import Workload

KEPT = Path(__file__).with_name("probes.json")


def summary(ratios: list[float]) -> tuple[float, float]:
    """Mean of the logarithms, and its standard error."""
    logs = np.log(ratios).tolist()
    return mean(logs), stdev(logs) / sqrt(len(logs))


def _ratios(own: Workload, lines: Lines, order: int) -> dict[str, float]:
    """With probes and without them."""
    return {
        which: measure((own, own), lines, order=order, counts_threads=False, pace=pace, alike=True).ratio
        for which, pace in (("probed", Pace()), ("not probed", None))
    }


def main() -> None:
    """Measure, keep and print."""
    for name, found in add_rounds(KEPT, __doc__.splitlines()[0], _ratios).items():
        for which, ratios in found.items():
            change, error = summary(ratios)
            print(f"{name}, {which}: {len(ratios)} pairs, {change:+.2%} ± {error:.2%}")  # noqa: T201 a command


if __name__ == "__main__":
    main()
