"""CER, latency and size of the fastest recognizer in six sizes (two hours, idle machine).

python -m crnn.optimize.studies run fastest_sweep --models FOLDER    # an interrupted run goes on
"""

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.corpus import open_corpus
from crnn.formats.counts import macs_of_config
from crnn.measure.workload import Workload, evaluated
from crnn.optimize.studies._fastest import ORIGINAL, TRAINING, built, quantized
from crnn.optimize.studies.common import HERE, measured_difference, measured_speedups, rows_of, with_interval
from crnn.report.documents import markdown

_BATCH_SIZES = (1, 128)
# Channels of the convolutions over time, and the number of residual ones behind them.
_SIZES = (
    ((32, 64, 96), 2),
    ((48, 80, 112), 2),
    ((64, 96, 128), 2),
    ((96, 128, 144), 3),
    ((128, 160, 208), 3),
    ((160, 224, 288), 3),
)
_FIGURE = HERE / "fastest_sweep.svg"


def run(models: Path) -> list[dict[str, Any]]:
    """One row per size, and a first one for the original. Also draws the figure."""
    from crnn.formats import pt_file

    corpus = open_corpus(None)
    # First all trainings: nothing is timed beside them.
    trained = [
        built(
            f"sweep-{'-'.join(map(str, columns))}-{context}", corpus, models,
            columns=tuple((channels, 5, 2) for channels in columns), context=(5,) * context, **TRAINING,
        )
        for columns, context in _SIZES
    ]  # fmt: skip
    with evaluated(Workload("torch-original", "torch", str(ORIGINAL)), corpus) as original:
        macs = macs_of_config(pt_file.load_crnn(ORIGINAL).config)
        rows: list[dict[str, Any]] = [{"macs": macs, "cer": original.evaluation.cer, "bytes": ORIGINAL.stat().st_size}]
        for (columns, context), file in zip(_SIZES, trained, strict=True):
            artifact = quantized(file, corpus)
            with evaluated(Workload(file.stem, "openvino", str(artifact)), corpus) as point:
                row = {
                    "columns": columns,
                    "context": context,
                    "macs": pt_file.macs(file),
                    "bytes": artifact.stat().st_size,
                    "cer": point.evaluation.cer,
                    "cer_difference": measured_difference(point.evaluation, original.evaluation),
                }
                rows.append(row | measured_speedups(point, original, _BATCH_SIZES))
            tqdm.write(json.dumps(rows[-1]))
    draw(rows)
    return rows


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw CER against MACs, speed-up and bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "fastest sweep"  # the same rows give the same file
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    original, *points = rows
    base = 100 * original["cer"]
    values = [[base + 100 * part for part in point["cer_difference"]] for point in points]
    spread = [[v[0] - v[1] for v in values], [v[2] - v[0] for v in values]]
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained", sharey=True)
    for size in _BATCH_SIZES:
        gains = [point[f"speedup_batch_{size}"][0] for point in points]
        axes[1].errorbar(gains, [v[0] for v in values], yerr=spread, fmt="o-", capsize=3, label=f"batch {size}")
    for panel, key, scale in ((axes[0], "macs", 1e6), (axes[2], "bytes", 1e3)):
        panel.errorbar(
            [point[key] / scale for point in points], [v[0] for v in values], yerr=spread, fmt="o-", capsize=3
        )
    for panel, label in zip(axes, ("million MACs per line", "speed-up over the original", "kB"), strict=True):
        panel.axhline(base, color="0.5", ls="--", lw=1, label="original")
        panel.set(xlabel=label, xscale="log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(ScalarFormatter())
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.grid(alpha=0.3, which="both")
        panel.legend(frameon=False)
    axes[0].set_ylabel("CER on the test split, %")
    axes[0].set_ylim(0, None)
    figure.savefig(_FIGURE, metadata={"Date": None})


def table() -> str:
    """CER, milliseconds, speed-up and bytes against MACs."""
    rows = []
    for row in rows_of("fastest_sweep"):
        size = f"{', '.join(map(str, row['columns']))}; {row['context']}" if "columns" in row else "torch-original"
        change = with_interval(row["cer_difference"], "+.2f", 100) if "columns" in row else ""
        timed = [
            text
            for batch in _BATCH_SIZES
            if "columns" in row
            for text in (f"{row[f'ms_batch_{batch}']:.2f}", with_interval(row[f"speedup_batch_{batch}"], ".1f"))
        ] or ["", "1"] * len(_BATCH_SIZES)
        cer, size_kb = f"{100 * row['cer']:.2f}", f"{row['bytes'] / 1000:,.0f}"
        rows.append((f"{row['macs'] / 1e6:.1f}", size, cer, change, *timed, size_kb))
    timings = [f"{what}, batch {batch}" for batch in _BATCH_SIZES for what in ("ms", "speed-up")]
    return markdown(("million MACs", "channels; residual layers", "CER %", "CER - original's", *timings, "kB"), rows)
