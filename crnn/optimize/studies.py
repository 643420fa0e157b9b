"""The small experiments that settings of the recipes were chosen by; their results are in ``results/``.

python -m crnn.optimize.studies criteria fixtures/artifacts/torch-original.pt
python -m crnn.optimize.studies distillation fixtures/artifacts/torch-original.pt
python -m crnn.optimize.studies sweep fixtures/artifacts/torch-original.pt --models FOLDER
python -m crnn.optimize.studies sizes fixtures/artifacts/torch-original.pt

Choices are made on the validation split: the test split is for measuring.
"""

import argparse
import json
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.corpus import Corpus, open_corpus
from crnn.formats import macs
from crnn.optimize.iterative_pruning import smaller
from crnn.training.loop import Schedule, fit, validation_cer

_RESULTS = Path(__file__).parent / "results"
_CRITERIA_REDUCTION = 3.0
_WEIGHTINGS = {"labels only": (1.0, 0.0), "soft only": (0.0, 1.0), "both": (1.0, 1.0)}
_DISTILLATION_EPOCHS = 4
_SWEEP_REDUCTIONS = (1.5, 2.0, 3.0, 4.0, 6.0)
_SWEEP_EPOCHS = 2
_VIEWS = 4
_COMPRESSED = (
    "tf-original",
    "tf-magnitude-pruned-full",
    "tf-magnitude-pruned-partial",
    "tf-clustered-16",
    "tf-clustered-64",
    "tf-magnitude-pruned-clustered",
)
_TUNING = Schedule(epochs=1, peak_learning_rate=1e-3, warmup_share=0.2)


class Study:
    """One corpus, one teacher with its stored answers."""

    def __init__(self, corpus: Corpus, teacher: Path, folder: Path) -> None:
        from crnn.models import torch_crnn
        from crnn.training.torch_distiller import answers_of

        self.corpus, self.folder, self.artifacts = corpus, folder, teacher.parent
        self.original: Callable[[], Any] = lambda: torch_crnn.load(teacher)
        self.targets = answers_of(teacher, corpus, _TUNING, folder, _VIEWS)

    def tune(self, start: Any, schedule: Schedule, labels: float = 1.0, soft: float = 1.0) -> tuple[Any, list[float]]:
        """Train on labels and answers; the learner and its validation CER after each epoch."""
        from crnn.training.torch_distiller import TorchDistiller, Weighting

        learner, checkpoint = TorchDistiller(start, schedule, Weighting(labels, soft)), self.folder / "study.npz"
        checkpoint.unlink(missing_ok=True)
        history = fit(learner, self.corpus, schedule, checkpoint, batches=self.targets.batches)
        checkpoint.unlink()
        return learner, [epoch["validation_cer"] for epoch in history.epochs]

    def cer(self, model: Any) -> float:
        """On the validation split."""
        from crnn.training.torch_learner import TorchLearner

        return validation_cer(TorchLearner(model, _TUNING), self.corpus.validation, self.corpus.alphabet)

    def prune(self, model: Any, criterion: str, multiply_adds: float) -> Any:
        """The model less what matters least."""
        from crnn.training.torch_distiller import TorchDistiller, Weighting

        ranked_by = TorchDistiller(model, _TUNING, Weighting())
        return smaller(model, criterion, ranked_by, self.targets.batches(0), multiply_adds)


def criteria(study: Study, _: Path) -> list[dict[str, Any]]:
    """One-shot pruning to a third of the multiply-adds by each criterion, then one epoch."""
    from crnn.optimize.importance import CRITERIA

    rows = []
    for criterion in CRITERIA:
        model = study.original()
        model = study.prune(model, criterion, macs.of_config(model.config) / _CRITERIA_REDUCTION)
        before = study.cer(model)
        _, history = study.tune(model, _TUNING)
        kept = {"channels": model.config.channels, "lstm_units": model.config.lstm_units}
        rows.append({"criterion": criterion, "cer_before": before, "cer_after": history[-1], **kept})
        tqdm.write(json.dumps(rows[-1]))
    return rows


def distillation(study: Study, _: Path) -> list[dict[str, Any]]:
    """The student on labels only, soft outputs only, both."""
    from crnn.models.config import CRNNConfig
    from crnn.optimize.distillation import STUDENT_CHANNELS, STUDENT_LSTM_UNITS

    classes = len(study.corpus.alphabet) + 1
    student = CRNNConfig(classes=classes, channels=STUDENT_CHANNELS, lstm_units=STUDENT_LSTM_UNITS)
    schedule, rows = Schedule(epochs=_DISTILLATION_EPOCHS), []
    for name, weights in _WEIGHTINGS.items():
        _, history = study.tune(student, schedule, *weights)
        rows.append({"loss": name, "labels": weights[0], "soft": weights[1], "validation_cer": history})
        tqdm.write(json.dumps(rows[-1]))
    return rows


def sweep(study: Study, models: Path) -> list[dict[str, Any]]:
    """Pruning and tuning down to ever fewer multiply-adds; each point goes on from the one before."""
    from crnn.models import torch_crnn

    models.mkdir(parents=True, exist_ok=True)
    model = study.original()
    whole = macs.of_config(model.config)
    rows = [{"reduction": 1.0, "validation_cer": study.cer(model), "model": "torch-original.pt"}]
    for reduction in _SWEEP_REDUCTIONS:
        model = study.prune(model, "taylor", whole / reduction)
        learner, history = study.tune(model, replace(_TUNING, epochs=_SWEEP_EPOCHS))
        model, name = learner.model, f"sweep-{reduction:g}.pt"
        torch_crnn.save(model, models / name)
        row = {"reduction": reduction, "multiply_adds": macs.of_config(model.config), "validation_cer": min(history)}
        kept = {"channels": model.config.channels, "lstm_units": model.config.lstm_units}
        rows.append(row | kept | {"model": name})
        tqdm.write(json.dumps(rows[-1]))
    return rows


def sizes(study: Study, _: Path) -> list[dict[str, Any]]:
    """Bytes of TensorFlow's compressed rows in each form, deflated or not."""
    from crnn.formats import tflite_file
    from crnn.models import keras_crnn
    from crnn.optimize.litert_convert import converted

    rows = []
    for name in _COMPRESSED:
        file = study.artifacts / f"{name}.keras"
        with zipfile.ZipFile(file) as archive:
            plain = b"".join(archive.read(member) for member in archive.namelist())
        model = keras_crnn.load(file)
        forms = {"keras": plain, "artifact": file.read_bytes()}
        for quantization in ("none", "dynamic"):
            one = tflite_file.merged({1: converted(model, quantization)})
            forms[f"litert_{quantization}"] = tflite_file.written(one)
        counts = {f"{form}_bytes": len(content) for form, content in forms.items()}
        deflated = {f"{form}_deflated_bytes": len(zlib.compress(content, 9)) for form, content in forms.items()}
        rows.append({"variant": name, **counts, **deflated})
        tqdm.write(json.dumps(rows[-1]))
    return rows


_STUDIES = {"criteria": criteria, "distillation": distillation, "sweep": sweep, "sizes": sizes}


def main() -> int:
    """Run one study and write its results."""
    parser = argparse.ArgumentParser("python -m crnn.optimize.studies", description=__doc__)
    parser.add_argument("study", choices=_STUDIES)
    parser.add_argument("teacher", type=Path, help="the original's artifact")
    parser.add_argument("--models", type=Path, default=Path("studies"), help="where models and answers go")
    given = parser.parse_args()
    given.models.mkdir(parents=True, exist_ok=True)
    rows = _STUDIES[given.study](Study(open_corpus(None), given.teacher, given.models), given.models)
    _RESULTS.mkdir(exist_ok=True)
    content = {"study": given.study, "tuning": asdict(_TUNING), "rows": rows}
    (_RESULTS / f"{given.study}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
