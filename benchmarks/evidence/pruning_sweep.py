"""What fewer multiply-adds cost in CER and bring in latency: measure the models of the pruning sweep, draw the figure.

python -m crnn.optimize.studies sweep fixtures/artifacts/torch-original.pt --models FOLDER
python benchmarks/evidence/pruning_sweep.py measure FOLDER
python benchmarks/evidence/pruning_sweep.py draw
"""

import json
import sys
from pathlib import Path
from typing import Any

from crnn.artifacts import SHIPPED
from crnn.corpus import open_corpus
from crnn.corpus.lines import Lines
from crnn.measure.accuracy import Judgement, cer_difference, judge
from crnn.measure.latency import FULL, Side, run_pairs, speedup, warm_up
from crnn.runtimes.process import WorkerProcess

_HERE = Path(__file__).parent
_STUDY = _HERE.parents[1] / "crnn" / "optimize" / "results" / "sweep.json"
_MEASURED, _FIGURE = _HERE / "pruning_sweep.json", _HERE / "pruning_sweep.svg"
_BATCH_SIZES = (1, 32, 128)


def _judged(worker: WorkerProcess, artifact: Path, lines: Lines, alphabet: str) -> Judgement:
    """Load a model and judge it on the test split."""
    worker.ask("load", "torch", str(artifact), "cpu", {})
    worker.ask("keep", lines.images, lines.kinds)
    return judge(worker.ask("judge", 128)[0], lines, alphabet)


def measure(models: Path) -> None:
    """CER and speed-up of each point, paired with the original."""
    corpus = open_corpus(None)
    points: list[dict[str, Any]] = json.loads(_STUDY.read_text("utf-8"))["rows"]
    with WorkerProcess("torch-original") as reference:
        expected = _judged(reference, SHIPPED / "torch-original.pt", corpus.test, corpus.alphabet)
        for point in points[1:]:
            with WorkerProcess(point["model"]) as worker:
                found = _judged(worker, models / point["model"], corpus.test, corpus.alphabet)
                change, (low, high) = cer_difference(found, expected)
                point |= {"cer": found.cer, "cer_difference": [change, low, high]}
                for size in _BATCH_SIZES:
                    sides = Side(worker, size), Side(reference, size)
                    warm_up(sides, FULL)
                    run_pairs(sides, FULL)
                    gain = speedup(*sides)
                    point[f"speedup_batch_{size}"] = [gain.ratio, *(gain.interval or ())]
            print(json.dumps(point), flush=True)  # noqa: T201 progress
    points[0]["cer"] = expected.cer
    _MEASURED.write_text(json.dumps(points, indent=1) + "\n", "utf-8")


def draw() -> None:
    """The figure: CER and speed-up over the share of multiply-adds that is left."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "pruning sweep"  # the same figure is the same file
    import matplotlib.pyplot as plt

    original, *points = json.loads(_MEASURED.read_text("utf-8"))
    shares = [1 / point["reduction"] for point in points]
    figure, (accuracy, latency) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    base = 100 * original["cer"]
    values = [[base + 100 * part for part in point["cer_difference"]] for point in points]
    spread = [[v[0] - v[1] for v in values], [v[2] - v[0] for v in values]]
    accuracy.errorbar(shares, [v[0] for v in values], yerr=spread, fmt="o-", capsize=3, label="pruned and tuned")
    accuracy.axhline(base, color="0.5", ls="--", lw=1, label="original")
    accuracy.set(xlabel="share of multiply-adds left", ylabel="CER on the test split, %", ylim=(0, None))
    for size in _BATCH_SIZES:
        gains = [point[f"speedup_batch_{size}"] for point in points]
        spread = [[g[0] - g[1] for g in gains], [g[2] - g[0] for g in gains]]
        latency.errorbar(shares, [g[0] for g in gains], yerr=spread, fmt="o-", capsize=3, label=f"batch {size}")
    ends = sorted([*shares, 1.0])
    latency.plot(ends, [1 / share for share in ends], color="0.5", ls="--", lw=1, label="as multiply-adds")
    latency.set(xlabel="share of multiply-adds left", ylabel="speed-up over the original, eager PyTorch")
    for axes in (accuracy, latency):
        axes.set_xlim(1.03, 0.1)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(_FIGURE, metadata={"Date": None})


if __name__ == "__main__":
    measure(Path(sys.argv[2])) if sys.argv[1] == "measure" else draw()
