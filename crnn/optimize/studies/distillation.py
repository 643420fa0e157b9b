"""Ablation of the distillation loss: the student on labels, on soft outputs, on both (15 minutes)."""

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.optimize.studies.common import Teacher, percent, rows_of
from crnn.report.documents import markdown
from crnn.training.loop import Schedule

_WEIGHTINGS = {"labels only": (1.0, 0.0), "soft only": (0.0, 1.0), "both": (1.0, 1.0)}
_EPOCHS = 4


def run(models: Path) -> list[dict[str, Any]]:
    """One row per loss; CER on the validation split after each epoch."""
    from crnn.models.config import CRNNConfig
    from crnn.optimize.distillation import STUDENT_CHANNELS, STUDENT_LSTM_UNITS

    teacher, rows = Teacher(models), []
    classes = len(teacher.corpus.alphabet) + 1
    student = CRNNConfig(classes=classes, channels=STUDENT_CHANNELS, lstm_units=STUDENT_LSTM_UNITS)
    for name, weights in _WEIGHTINGS.items():
        _, history = teacher.tune(student, Schedule(epochs=_EPOCHS), *weights)
        rows.append({"loss": name, "labels": weights[0], "soft": weights[1], "validation_cer": history})
        tqdm.write(json.dumps(rows[-1]))
    return rows


def table() -> str:
    """Validation CER by loss and epoch."""
    rows = [(row["loss"], *map(percent, row["validation_cer"])) for row in rows_of("distillation")]
    return markdown(("loss", *(f"epoch {index}" for index in range(1, len(rows[0])))), rows)
