"""What each part of the fastest recognizer's training brings (an hour and a half).

python -m crnn.optimize.studies run fastest_ablation --models FOLDER    # an interrupted run goes on
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.corpus import open_corpus
from crnn.corpus.lines import Corpus
from crnn.measure.workload import Workload, evaluated
from crnn.optimize import fastest
from crnn.optimize.recipe import Build
from crnn.optimize.studies._fastest import TRAINING, built, quantized
from crnn.optimize.studies.common import percent, rows_of
from crnn.optimize.tuning import tuned
from crnn.report.documents import markdown

_TRAIN_LINES = 16_000
# The same number of updates for all.
_EPOCHS_ON_TRAIN_LINES = TRAINING["epochs"] * TRAINING["lines"] // _TRAIN_LINES
CHOSEN = "labels of fresh lines, then an epoch in int8"
_FORMS: dict[str, dict[str, Any]] = {
    "labels of the train split": {
        "lines": 0,
        "epochs": _EPOCHS_ON_TRAIN_LINES,
        "patience": _EPOCHS_ON_TRAIN_LINES,
        "int8_epochs": 0,
    },
    "labels of fresh lines": {"int8_epochs": 0},
    "and the original's outputs": {"soft": 1.0, "blanks": 1.0, "int8_epochs": 0},
    "and the original's outputs, blanks weighted by a tenth": {"soft": 1.0, "blanks": 0.1, "int8_epochs": 0},
    CHOSEN: {},
}
_GUIDED = {
    "labels of fresh lines and the original's features": "matching",
    "labels of fresh lines and a decoder with attention": "attention",
}


def guided(build: Build, *, guide: str, lines: int, epochs: int) -> dict[str, Any]:
    """Train a student with guidance, without the epoch in int8.

    Args:
        build: the artifact to build.
        guide: "matching" or "attention".
        lines: number of fresh lines.
        epochs: of the training.
    """
    from crnn.formats import pt_file
    from crnn.models.conv_config import ConvConfig
    from crnn.optimize.studies._guided import AttentionLearner, MatchingLearner
    from crnn.training.torch_learner import TorchLearner

    schedule, config = replace(fastest.SCHEDULE, epochs=epochs), ConvConfig(classes=len(build.corpus.alphabet) + 1)
    learners: dict[str, Callable[[], TorchLearner]] = {
        "matching": lambda: MatchingLearner(config, schedule, pt_file.load_crnn(build.teacher)),
        "attention": lambda: AttentionLearner(config, schedule),
    }
    given = fastest.lessons(build, None, schedule, lines)
    # It lacks the guide's weights.
    build.checkpoint.unlink(missing_ok=True)
    return tuned(build, learners[guide](), schedule, pt_file.save, given.batches, given.settings, steps=given.steps)


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
    trained |= {
        form: built(f"ablation-{guide}", corpus, models, guided, guide=guide, **TRAINING)
        for form, guide in _GUIDED.items()
    }
    rows = []
    for form, file in trained.items():
        rows.append({"form": form, "cer": cer("torch", file), "cer_int8": cer("openvino", quantized(file, corpus))})
        tqdm.write(json.dumps(rows[-1]))
    return rows


def table() -> str:
    """Validation CER by form."""
    rows = [(row["form"], percent(row["cer"]), percent(row["cer_int8"])) for row in rows_of("fastest_ablation")]
    return markdown(("training", "CER, float32", "CER, int8"), rows)
