"""CER and speed-up of ever smaller models: train the sweep, measure it, draw it (an hour, idle machine).

python -m crnn.optimize.studies run pruning_sweep --models FOLDER
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.formats.counts import macs_of_config
from crnn.measure.workload import Workload, evaluated
from crnn.optimize.studies.common import (
    BATCH_SIZES,
    HERE,
    TUNING,
    Teacher,
    measured_difference,
    measured_speedups,
    rows_of,
    widths,
    with_interval,
)
from crnn.report.documents import markdown

_REDUCTIONS = (1.5, 2.0, 3.0, 4.0, 6.0)
_EPOCHS = 2
_FIGURE = HERE / "pruning_sweep.svg"


def _trained(teacher: Teacher, models: Path) -> list[dict[str, Any]]:
    """Prune and tune to fewer and fewer MACs; each point starts from the previous one."""
    from crnn.formats import pt_file

    model = teacher.model()
    whole = macs_of_config(model.config)
    rows: list[dict[str, Any]] = [
        {"reduction": 1.0, "validation_cer": teacher.cer(model), "model": teacher.file.name},
    ]
    for reduction in _REDUCTIONS:
        model = teacher.prune(model, "taylor", whole / reduction)
        learner, history = teacher.tune(model, replace(TUNING, epochs=_EPOCHS))
        model, name = learner.model, f"sweep-{reduction:g}.pt"
        pt_file.save(model, models / name)
        row = {
            "reduction": reduction,
            "multiply_adds": macs_of_config(model.config),
            "validation_cer": min(history),
            "channels": model.config.channels,
            "lstm_units": model.config.lstm_units,
            "model": name,
        }
        rows.append(row)
        tqdm.write(json.dumps(row))
    return rows


def run(models: Path) -> list[dict[str, Any]]:
    """One row per point: CER and speed-up, both paired with the original. Also draws the figure."""
    teacher = Teacher(models)
    rows = _trained(teacher, models)
    with evaluated(Workload("torch-original", "torch", str(teacher.file)), teacher.corpus) as original:
        rows[0]["cer"] = original.evaluation.cer
        for row in rows[1:]:
            with evaluated(Workload(row["model"], "torch", str(models / row["model"])), teacher.corpus) as point:
                difference = measured_difference(point.evaluation, original.evaluation)
                row.update(cer=point.evaluation.cer, cer_difference=difference, **measured_speedups(point, original))
            tqdm.write(json.dumps(row))
    draw(rows)
    return rows


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw CER and speed-up against the share of MACs left."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "pruning sweep"  # the same rows give the same file
    import matplotlib.pyplot as plt

    original, *points = rows
    shares = [1 / point["reduction"] for point in points]
    figure, (accuracy, latency) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    base = 100 * original["cer"]
    values = [[base + 100 * part for part in point["cer_difference"]] for point in points]
    spread = [[v[0] - v[1] for v in values], [v[2] - v[0] for v in values]]
    accuracy.errorbar(shares, [v[0] for v in values], yerr=spread, fmt="o-", capsize=3, label="pruned and tuned")
    accuracy.axhline(base, color="0.5", ls="--", lw=1, label="original")
    accuracy.set(xlabel="share of MACs left", ylabel="CER on the test split, %", ylim=(0, None))
    for size in BATCH_SIZES:
        gains = [point[f"speedup_batch_{size}"] for point in points]
        spread = [[g[0] - g[1] for g in gains], [g[2] - g[0] for g in gains]]
        latency.errorbar(shares, [g[0] for g in gains], yerr=spread, fmt="o-", capsize=3, label=f"batch {size}")
    ends = sorted([*shares, 1.0])
    latency.plot(ends, [1 / share for share in ends], color="0.5", ls="--", lw=1, label="as MACs")
    latency.set(xlabel="share of MACs left", ylabel="speed-up over the original, eager PyTorch")
    for axes in (accuracy, latency):
        axes.set_xlim(1.03, 0.1)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(_FIGURE, metadata={"Date": None})


def table() -> str:
    """CER and speed-up against MACs."""
    original, *points = rows_of("pruning_sweep")
    whole = "32, 64, 64, 128, 256, 256, 256"
    rows: list[tuple[str, ...]] = [("1", whole, f"{100 * original['cer']:.2f}", "", "1", "1", "1")]
    for point in points:
        gains = [with_interval(point[f"speedup_batch_{size}"], ".2f") for size in BATCH_SIZES]
        change = with_interval(point["cer_difference"], "+.2f", 100)
        rows.append((f"1/{point['reduction']:g}", widths(point), f"{100 * point['cer']:.2f}", change, *gains))
    speedups = [f"speed-up, batch {size}" for size in BATCH_SIZES]
    return markdown(("MACs", "channels and LSTM units", "CER %", "CER - original's", *speedups), rows)
