"""The figures of the study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crnn.scaling.causes import CAUSES
from crnn.scaling.model import Model

_SHOWN = (
    "torch-original",
    "tf-original",
    "litert-fp32",
    "ort-torch2onnx-optimized",
    "ort-rewritten-int8",
    "ov-fp32",
    "ov-int8",
    "fastest-ov-int8",
)
"""Rows of each engine, and the fastest, where they were measured."""


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "scaling", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    return plt


def draw_causes(kept: Mapping[str, Any], folder: Path) -> None:
    """Draw ``causes.svg``: milliseconds per line with and without each cause, a panel each.

    Args:
        kept: what ``causes.json`` holds.
        folder: where the figure goes.
    """
    plt = _pyplot()
    figure, panels = plt.subplots(len(CAUSES), figsize=(7, 2.4 * len(CAUSES)))
    for axes, cause in zip(panels, CAUSES, strict=True):
        sizes = np.array(kept[cause.name]["sizes"])
        for side, way in (("there", cause.there), ("off", cause.off)):
            seconds = np.array(kept[cause.name]["seconds"][side])  # (P, K)
            per_line = 1e3 * np.exp(np.log(seconds / sizes).mean(axis=0))
            axes.plot(sizes, per_line, "o-", markersize=3, label=f"{way.row}: {way.label}")
        axes.set(title=f"{cause.name} ({cause.engine})", ylabel="ms per line", ylim=(0, None))
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, list(map(str, sizes)))
        axes.grid(alpha=0.25)
        axes.legend(fontsize=7)
    panels[-1].set_xlabel("lines per batch")
    figure.tight_layout()
    figure.savefig(folder / "causes.svg", metadata={"Date": None})
    plt.close(figure)


def draw(models: Sequence[Model], folder: Path) -> None:
    """Draw ``per_line.svg``: milliseconds per line against the batch size, measured and fitted, both axes in logs."""
    plt = _pyplot()
    shown = [model for model in models if model.times.name in _SHOWN] or list(models)
    figure, axes = plt.subplots(figsize=(8, 5))
    for colour, model in enumerate(shown):
        times, mark = model.times, f"C{colour}"
        axes.plot(times.sizes, 1e3 * times.typical / times.sizes, "o", markersize=2.5, color=mark)
        sizes = np.unique(np.geomspace(1, times.sizes[-1], 400).astype(int))
        axes.plot(sizes, 1e3 * model.function(sizes) / sizes, linewidth=1, color=mark, label=times.name)
    axes.set(xscale="log", yscale="log", xlabel="lines per call", ylabel="milliseconds per line")
    axes.set_xticks(ticks := [1, 2, 4, 8, 16, 32, 64, 128, 256], list(map(str, ticks)))
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "per_line.svg", metadata={"Date": None})
    plt.close(figure)
