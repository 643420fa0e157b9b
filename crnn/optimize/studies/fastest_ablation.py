"""What each part of the fastest recognizer's training brings (an hour).

python -m crnn.optimize.studies run fastest_ablation --models FOLDER    # an interrupted run goes on
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.corpus import open_corpus
from crnn.corpus.lines import Corpus
from crnn.measure.workload import Workload, evaluated
from crnn.optimize import fastest
from crnn.optimize.studies._fastest import LARGE, ORIGINAL, TRAINING, built, quantized
from crnn.optimize.studies.common import markdown, percent, rows_of

_TRAIN_LINES = 16_000
# The same number of updates for all.
_EPOCHS_ON_TRAIN_LINES = TRAINING["epochs"] * TRAINING["lines"] // _TRAIN_LINES
CHOSEN = "and the large recognizer's outputs"
_FORMS: dict[str, dict[str, Any]] = {
    "labels of the train split": {
        "soft": 0.0,
        "lines": 0,
        "epochs": _EPOCHS_ON_TRAIN_LINES,
        "patience": _EPOCHS_ON_TRAIN_LINES,
    },
    "labels of fresh lines": {"soft": 0.0},
    "and the original's outputs": {},
    "and the large recognizer's outputs, blanks weigh as much": {"teacher": LARGE, "blanks": 1.0},
    CHOSEN: {"teacher": LARGE},
    "the same, no epoch in int8": {"teacher": LARGE, "int8_epochs": 0},
}
_GUIDED = "labels of fresh lines and the original's features, no epoch in int8"


def _guided(corpus: Corpus, models: Path) -> Path:
    """A student trained with guidance, without the epoch in int8."""
    from crnn.formats import pt_file
    from crnn.models.conv_config import ConvConfig
    from crnn.optimize.studies._guided import GuidedLearner
    from crnn.training.fresh import FreshLines
    from crnn.training.fresh_targets import fresh_batches, steps_per_epoch
    from crnn.training.loop import fit

    lines, schedule = FreshLines(models, TRAINING["lines"]), replace(fastest.SCHEDULE, epochs=TRAINING["epochs"])
    lines.prepare()
    teacher = pt_file.load_crnn(ORIGINAL)
    config = ConvConfig(classes=len(corpus.alphabet) + 1)
    learner = GuidedLearner(config, schedule, teacher)
    checkpoint, target = models / "ablation-guided.npz", models / "ablation-guided.pt"
    # It lacks the projection's weights.
    checkpoint.unlink(missing_ok=True)
    fit(
        learner, corpus, schedule, checkpoint,
        batches=lambda epoch: fresh_batches(lines, None, corpus.alphabet, schedule.batch_size, schedule.seed, epoch),
        steps=steps_per_epoch(lines, schedule.batch_size),
    )  # fmt: skip
    pt_file.save(learner.model, target)
    return target


def run(models: Path) -> list[dict[str, Any]]:
    """One row per form: CER of the trained model and of OpenVINO's int8, on the validation split."""
    corpus = open_corpus(None)
    validation = Corpus(
        corpus.name, corpus.alphabet, corpus.sha256, corpus.validation, lambda: (corpus.train, corpus.test)
    )

    def cer(engine: str, artifact: Path) -> float:
        with evaluated(Workload(artifact.stem, engine, str(artifact)), validation) as found:
            return found.evaluation.cer

    trained = {
        form: built(f"ablation-{index}", corpus, models, **TRAINING | options)
        for index, (form, options) in enumerate(_FORMS.items())
    }
    trained[_GUIDED] = _guided(corpus, models)
    rows = []
    for form, file in trained.items():
        rows.append({"form": form, "cer": cer("torch", file), "cer_int8": cer("openvino", quantized(file, corpus))})
        tqdm.write(json.dumps(rows[-1]))
    return rows


def table() -> str:
    """Validation CER by form."""
    rows = [(row["form"], percent(row["cer"]), percent(row["cer_int8"])) for row in rows_of("fastest_ablation")]
    return markdown(("training", "CER, float32", "CER, int8"), rows)
