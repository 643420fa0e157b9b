"""What each part of the fastest recognizer's training brings (two hours).

python -m crnn.optimize.studies run fastest_ablation --models FOLDER    # an interrupted run goes on
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.artifacts import SHIPPED
from crnn.corpus import open_corpus
from crnn.corpus.lines import Corpus
from crnn.optimize import fastest
from crnn.optimize.studies.common import markdown, percent, rows_of
from crnn.optimize.studies.fastest_sweep import built

_LINES, _EPOCHS = 98_304, 3
_TRAIN_LINES = 16_000
# The same number of updates for all.
_FORMS: dict[str, dict[str, Any]] = {
    "labels of the train split": {"lines": 0, "epochs": _EPOCHS * _LINES // _TRAIN_LINES, "soft": 0.0},
    "labels of fresh lines": {"soft": 0.0},
    "and the original's outputs": {"soft": 1.0, "blanks": 1.0},
    "and its outputs, where both are sure of the blank by a tenth": {"soft": 1.0, "blanks": 0.1},
}
_GUIDED = "and its features, through a projection"


def _guided(corpus: Corpus, models: Path) -> list[float]:
    """Validation CER after each epoch with guidance."""
    from crnn.formats import pt_file
    from crnn.models.conv_config import ConvConfig
    from crnn.optimize.studies._guided import GuidedLearner
    from crnn.training.fresh import FreshLines
    from crnn.training.fresh_targets import fresh_batches, steps_per_epoch
    from crnn.training.loop import fit

    lines, schedule = FreshLines(models, _LINES), replace(fastest.SCHEDULE, epochs=_EPOCHS)
    lines.prepare()
    teacher = pt_file.load_crnn(SHIPPED / "torch-original.pt")
    learner = GuidedLearner(ConvConfig(classes=len(corpus.alphabet) + 1), schedule, teacher)
    checkpoint = models / "ablation-guided.npz"
    # It lacks the projection's weights.
    checkpoint.unlink(missing_ok=True)
    history = fit(
        learner, corpus, schedule, checkpoint,
        batches=lambda epoch: fresh_batches(lines, None, corpus.alphabet, schedule.batch_size, schedule.seed, epoch),
        steps=steps_per_epoch(lines, schedule.batch_size),
    )  # fmt: skip
    return [epoch["validation_cer"] for epoch in history.epochs]


def run(models: Path) -> list[dict[str, Any]]:
    """One row per form: CER on the validation split after each epoch, and after the one in int8."""
    corpus, rows = open_corpus(None), []
    for index, (name, options) in enumerate(_FORMS.items()):
        _, notes = built(f"ablation-{index}", corpus, models, **{"lines": _LINES, "epochs": _EPOCHS} | options)
        parts = [[epoch["validation_cer"] for epoch in part["epochs"]] for part in (notes, notes["int8"])]
        rows.append({"form": name, "validation_cer": parts[0], "validation_cer_int8": parts[1]})
        tqdm.write(json.dumps(rows[-1]))
    rows.append({"form": _GUIDED, "validation_cer": _guided(corpus, models)})
    return rows


def table() -> str:
    """Validation CER by form."""
    rows = [
        (row["form"], percent(row["validation_cer"][-1]), *map(percent, row.get("validation_cer_int8", ())[-1:]))
        for row in rows_of("fastest_ablation")
    ]
    return markdown(("loss", "CER", "CER after the int8 epoch"), [(*row, "")[:3] for row in rows])
