"""How often the gate is red, inconclusive or green, by the true change: its operating characteristic, per engine.

    python -m benchmarks.evidence.characteristic benchmarks/evidence/planted.csv

Of each row, runs are drawn as ``whole_runs.py`` draws them, with a change of all calls, and compared with the
committed pairs of the baseline. Slowdowns that were really measured, a busy wait or an engine without some of its
kernels, are in the file of ``collect.py``, as pairs with the unchanged model. Writes
``characteristic.json``: the first letters of all verdicts; draws ``characteristic.svg``.
"""

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np

from benchmarks.evidence.whole_runs import KEPT, Compared
from crnn import registry
from crnn.gate.measures import measure as declared
from crnn.gate.sequential import Reference, of, screen_directly

HERE = Path(__file__).parent
OUT = HERE / "characteristic.json"
_FIGURE = HERE / "characteristic.svg"
ENGINES = {
    "torch": "PyTorch eager",
    "torch_compiled": "PyTorch inductor",
    "aoti": "PyTorch AOTI",
    "executorch": "ExecuTorch",
    "tensorflow": "TensorFlow",
    "litert": "LiteRT",
    "onnx": "ONNX Runtime",
    "openvino": "OpenVINO",
    "ncnn": "ncnn",
}
"""What a figure calls the engines of the registry."""
CALLS = {
    "relative_latency": "batch 1, one thread",
    "deployed": "batch 1, deployment",
    "deployed_largest": "batch 128, deployment",
}
"""The measurements of calls, and what a figure calls them."""
CHANGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
"""True changes, in limits."""
COMPARISONS, PLANTED = 200, 100
_COLUMNS = {
    "relative_latency": ("one-thread", "latency"),
    "deployed": ("deployment", "latency"),
    "deployed_largest": ("deployment", "largest"),
}
Letters = dict[str, str]


def drawn_letters(compared: Compared, change: float, count: int) -> Letters:
    """The first letters of the verdicts on drawn runs, by measurement of calls.

    Args:
        compared: the test.
        change: of all calls, in limits.
        count: of runs.
    """
    changes = dict.fromkeys(CALLS, change)
    words = [compared.words(np.random.default_rng([2026, round(100 * change), run]), changes) for run in range(count)]
    return {name: "".join(of_run[name][0] for of_run in words) for name in CALLS if name in words[0]}


Pools = dict[tuple[str, str, str], list[float]]
"""Ratios by variant, measurement and what was planted, in the order of measuring."""


def pools(path: Path) -> Pools:
    """Read the file of ``collect.py``."""
    found = defaultdict(list)
    with path.open(encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            for name, (setting, column) in _COLUMNS.items():
                if row["setting"] == setting:
                    found[row["variant"], name, row["planted"]].append(float(row[column]))
    return dict(found)


def planted_letters(name: str, ratios: Sequence[float], count: int) -> str:
    """The first letters of the verdicts on runs whose pairs with the unchanged model are drawn from these."""
    unchanged = Reference((), declared(name).limit.allowed(1), "ratio")
    letters = []
    for number in range(count):
        draws = np.random.default_rng([2026, number])
        found = screen_directly(lambda: {"ratio": float(draws.choice(ratios))}, [unchanged]).screen  # noqa: B023 called now
        letters.append(unchanged.verdict(of(found, "ratio"), ())[0])
    return "".join(letters)


def engine(test: str) -> str:
    """What a figure calls the engine of a benchmark's row."""
    return ENGINES[registry.get(test.partition("[")[2].rstrip("]")).runtime]


def draw(characteristic: Mapping[str, Mapping[str, Letters]]) -> None:
    """Draw the probabilities against the true change, a row per measurement and a column per engine."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "characteristic", "svg.fonttype": "none", "font.size": 8})
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(CALLS), len(ENGINES), figsize=(15, 5.4), sharex=True, sharey=True)
    signs = (("red", "w", "#c0392b"), ("inconclusive", "u", "#e0a800"), ("green", "sb", "#1e8449"))
    for place, (name, row) in enumerate(zip(CALLS, axes, strict=True)):
        for title, axis in zip(ENGINES.values(), row, strict=True):
            rows = [found[name] for test, found in characteristic.items() if name in found and engine(test) == title]
            for label, sign, colour in signs:
                shares = [np.mean([one in sign for of_row in rows for one in of_row[f"{at:g}"]]) for at in CHANGES]
                axis.plot(CHANGES, shares, color=colour, label=label)
            axis.axvline(1, color="0.6", linewidth=0.8, linestyle=":")
            if place == 0:
                axis.set_title(f"{title}, {len(rows)} row{'s' * (len(rows) > 1)}")
            if place == len(CALLS) - 1:
                axis.set_xlabel("true change, in limits")
        row[0].set_ylabel(f"{CALLS[name]}\nlimit {declared(name).limit}\nshare of comparisons")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(_FIGURE, metadata={"Date": None})


def main() -> None:
    """Compare, write and draw."""
    kept = json.loads(KEPT.read_text("utf-8"))
    tests = {test: Compared.of(kept, test) for test in kept["baseline"]["pairs"]}
    characteristic: dict[str, dict[str, Letters]] = {test: defaultdict(dict) for test in tests}
    cases = [(test, change) for test in tests for change in CHANGES]
    plants = pools(Path(sys.argv[1]))
    with ProcessPoolExecutor() as workers:
        found = workers.map(
            drawn_letters, *zip(*((tests[test], change, COMPARISONS) for test, change in cases), strict=True)
        )
        names, measured = [name for _, name, _ in plants], list(plants.values())
        of_plants = workers.map(planted_letters, names, measured, repeat(PLANTED))
        for (test, change), letters in zip(cases, found, strict=True):
            for name, words in letters.items():
                characteristic[test][name][f"{change:g}"] = words
        slowed = {" ".join(case): letters for case, letters in zip(plants, of_plants, strict=True)}
    OUT.write_text(json.dumps({"drawn": characteristic, "planted": slowed}, indent=0) + "\n", "utf-8")
    draw(characteristic)


if __name__ == "__main__":
    main()
