"""Comparison of importance criteria: one pruning step to a third of the MACs, then one epoch (10 minutes)."""

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.formats.counts import macs_of_config
from crnn.optimize.studies.common import TUNING, Teacher, percent, rows_of, widths
from crnn.report.documents import markdown

_REDUCTION = 3.0


def run(models: Path) -> list[dict[str, Any]]:
    """One row per criterion; CER on the validation split."""
    from crnn.optimize.importance import CRITERIA

    teacher, rows = Teacher(models), []
    for criterion in CRITERIA:
        model = teacher.model()
        model = teacher.prune(model, criterion, macs_of_config(model.config) / _REDUCTION)
        before = teacher.cer(model)
        _, history = teacher.tune(model, TUNING)
        kept = {"channels": model.config.channels, "lstm_units": model.config.lstm_units}
        rows.append({"criterion": criterion, "cer_before": before, "cer_after": history[-1], **kept})
        tqdm.write(json.dumps(rows[-1]))
    return rows


def table() -> str:
    """Validation CER before and after the epoch, and the widths left, by criterion."""
    headings = ("criterion", "CER, untuned", "after one epoch", "channels and LSTM units left")
    rows = rows_of("criteria")
    return markdown(
        headings,
        [(row["criterion"], percent(row["cer_before"]), percent(row["cer_after"]), widths(row)) for row in rows],
    )
