"""How often the gate is red, inconclusive or green, by the true change: its operating characteristic, per engine.

    python -m benchmarks.evidence.characteristic benchmarks/evidence/pairs.csv

Each comparison draws a baseline from the earlier half of a row's unchanged pairs and a run from the later half, and
judges them by the gate's own plan. A change is applied to the run's ratios, or was really measured: a busy wait, or
an engine without some of its kernels. Writes ``characteristic.json`` and draws ``characteristic.svg``.
"""

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path

import numpy as np

from crnn.gate.comparisons import UnresolvedError, reference
from crnn.gate.measures import measure as declared
from crnn.gate.sequential import UNCLEAR, measure, of

HERE = Path(__file__).parent
OUT = HERE / "characteristic.json"
_FIGURE = HERE / "characteristic.svg"
ENGINES = {
    "torch-original": "PyTorch eager",
    "torch-compiled": "PyTorch inductor",
    "tf-original": "TensorFlow",
    "litert-fp32": "LiteRT",
    "ort-torch2onnx-optimized": "ONNX Runtime",
    "ov-int8": "OpenVINO",
}
"""The measured row of each engine."""
QUANTITIES = {
    "relative_latency": ("one-thread", "latency", "batch 1, one thread"),
    "deployed": ("deployment", "latency", "batch 1, deployment"),
    "deployed_largest": ("deployment", "largest", "batch 128, deployment"),
}
"""Measurements of the gate: setting and column of the file, and what a figure calls it."""
CHANGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
"""True changes, in limits."""
COMPARISONS = 200
Pools = dict[tuple[str, str, str], list[float]]
"""Ratios in chronological order, by variant, measurement and what was planted."""


def pools(path: Path) -> Pools:
    """Read the file of ``collect.py``."""
    found = defaultdict(list)
    with path.open(encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            for quantity, (setting, column, _) in QUANTITIES.items():
                if row["setting"] == setting:
                    found[row["variant"], quantity, row["planted"]].append(float(row[column]))
    return dict(found)


def halves(ratios: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The earlier and the later half."""
    middle = len(ratios) // 2
    return np.asarray(ratios[:middle]), np.asarray(ratios[middle:])


def letter(quantity: str, before: np.ndarray, after: np.ndarray, change: float, number: int) -> str:
    """One comparison: the first letter of its word.

    Args:
        quantity: the measurement, which has the limit.
        before: pairs that the baseline is drawn from.
        after: pairs that the run is drawn from.
        change: applied to the run, as a fraction.
        number: of the comparison; it seeds the draws.
    """
    draws, measurement = np.random.default_rng([2026, number]), declared(quantity)
    key, limit = measurement.key, measurement.limit
    saved = measure(lambda: {key: float(draws.choice(before))}, (), {key: limit.allowed(1)})
    try:
        compared = reference(measurement, of(saved.screen, key), limit)
    except UnresolvedError:
        return UNCLEAR[0]
    pairs = measure(lambda: {key: float(draws.choice(after)) * (1 + change)}, [compared])
    return compared.verdict(of(pairs.screen, key), of(pairs.confirmation, key))[0]


def distances(path: Path) -> dict[tuple[str, str], timedelta]:
    """Time between the middles of the two halves of a row's pairs, by variant and setting."""
    found = defaultdict(list)
    with path.open(encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            if row["planted"] == "0":
                found[row["variant"], row["setting"]].append(float(row["unix_s"]))
    middles = {key: [float(half.mean()) for half in halves(moments)] for key, moments in found.items()}
    return {key: timedelta(seconds=later - earlier) for key, (earlier, later) in middles.items()}


def _judge(case: tuple[str, np.ndarray, np.ndarray, float]) -> str:
    quantity, before, after, change = case
    return "".join(letter(quantity, before, after, change, number) for number in range(COMPARISONS))


def cases(found: Pools) -> dict[str, tuple[str, np.ndarray, np.ndarray, float]]:
    """What is compared, by ``variant|quantity|change``, and ``variant|quantity|planted NAME`` for real slowdowns."""
    wanted = {}
    for (variant, quantity, planted), ratios in found.items():
        before, after = halves(found[variant, quantity, "0"])
        if planted != "0":
            # A pair of the earlier half gave a ratio of the baseline too.
            later = halves(ratios)[1] if planted.replace(".", "").isdigit() else np.asarray(ratios)
            wanted[f"{variant}|{quantity}|planted {planted}"] = quantity, before, later, 0.0
            continue
        for change in CHANGES:
            true = change * declared(quantity).limit.allowed(1)
            wanted[f"{variant}|{quantity}|{change:g}"] = quantity, before, after, true
    return wanted


def draw(judged: dict[str, str]) -> None:
    """Draw the probabilities against the true change, a row per measurement and a column per engine."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "characteristic", "font.size": 8})
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(QUANTITIES), len(ENGINES), figsize=(12, 5.4), sharex=True, sharey=True)
    for quantity, row in zip(QUANTITIES, axes, strict=True):
        limit = declared(quantity).limit
        for (variant, engine), axis in zip(ENGINES.items(), row, strict=True):
            words = [judged[f"{variant}|{quantity}|{change:g}"] for change in CHANGES]
            for name, sign, colour in (
                ("red", "w", "#c0392b"),
                ("inconclusive", "u", "#e0a800"),
                ("green", "sb", "#1e8449"),
            ):
                shares = [sum(map(word.count, sign)) / len(word) for word in words]
                axis.plot(CHANGES, shares, marker="o", markersize=2.5, color=colour, label=name)
            axis.axvline(1, color="0.6", linewidth=0.8, linestyle=":")
            axis.grid(alpha=0.2)
            if row is axes[0]:
                axis.set_title(engine)
            if row is axes[-1]:
                axis.set_xlabel("true change, in limits")
        row[0].set_ylabel(f"{QUANTITIES[quantity][2]}\nlimit {limit}\nshare of comparisons")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(_FIGURE, metadata={"Date": None})


def main() -> None:
    """Judge, write and draw."""
    wanted = cases(pools(Path(sys.argv[1])))
    with ProcessPoolExecutor() as workers:
        judged = dict(zip(wanted, workers.map(_judge, wanted.values()), strict=True))
    OUT.write_text(json.dumps(judged, indent=0) + "\n", "utf-8")
    draw(judged)


if __name__ == "__main__":
    main()
