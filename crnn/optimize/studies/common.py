"""What studies share: files, Markdown tables, speed-ups, and a teacher with its stored outputs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from crnn.artifacts import SHIPPED
from crnn.corpus import open_corpus
from crnn.measure.accuracy import Evaluation, cer_difference
from crnn.measure.latency import STUDY, Side, block_ratios, median_interval, run_pairs, warm_up
from crnn.measure.workload import Run
from crnn.training.loop import Schedule

HERE = Path(__file__).parent
PAGE = HERE.parent / "README.md"
BATCH_SIZES = (1, 32, 128)
TUNING = Schedule(epochs=1, peak_learning_rate=1e-3, warmup_share=0.2)
_VIEWS = 4


def rows_of(study: str) -> list[dict[str, Any]]:
    """The rows of a study's JSON file."""
    return json.loads((HERE / f"{study}.json").read_text("utf-8"))["rows"]


def percent(value: float) -> str:
    """A fraction as a percentage."""
    return f"{100 * value:.2f} %"


def with_interval(values: Sequence[float], form: str, scale: float = 1) -> str:
    """A value, with its interval if there is one."""
    value, *ends = (format(scale * part, form) for part in values)
    return f"{value} [{', '.join(ends)}]" if ends else value


def widths(row: Mapping[str, Any]) -> str:
    """Channels and LSTM units, from input to output."""
    return ", ".join(map(str, (*row["channels"], *row["lstm_units"])))


def measured_difference(run: Evaluation, reference: Evaluation) -> list[float]:
    """CER difference to the reference as a fraction: estimate, low end, high end."""
    change, interval = cer_difference(run, reference)
    return [change, *interval]


def measured_speedups(run: Run, reference: Run, sizes: Sequence[int] = BATCH_SIZES) -> dict[str, Any]:
    """Milliseconds at each batch size, and the speed-up over the reference: ratio, low end, high end.

    Needs an idle machine.
    """
    found: dict[str, Any] = {}
    for size in sizes:
        sides = [Side(side.worker, size, side.untimed[size]) for side in (run, reference)]
        warm_up(sides, STUDY)
        run_pairs(sides, STUDY)
        ratios = block_ratios(sides[1], sides[0])
        found[f"ms_batch_{size}"] = 1000 * median(median(block) for block in sides[0].blocks)
        found[f"speedup_batch_{size}"] = [median(ratios), *(median_interval(ratios) or ())]
    return found


class Teacher:
    """PyTorch's original as a teacher: its stored outputs for the training split, and students tuned on them."""

    def __init__(self, models: Path) -> None:
        """Open the corpus; outputs are computed when they are first needed.

        Args:
            models: folder for outputs, checkpoints and models.
        """
        from crnn.training.torch_distiller import answers_of

        self.file = SHIPPED / "torch-original.pt"
        self.corpus, self._folder = open_corpus(None), models
        self._targets = answers_of(self.file, self.corpus, TUNING, models, _VIEWS)

    def model(self) -> Any:
        """A fresh copy of the original."""
        from crnn.formats import pt_file

        return pt_file.load(self.file)

    def tune(self, start: Any, schedule: Schedule, labels: float = 1.0, soft: float = 1.0) -> tuple[Any, list[float]]:
        """Train on labels and stored outputs; returns the learner and the validation CER after each epoch."""
        from crnn.training.loop import fit
        from crnn.training.torch_distiller import TorchDistiller, Weighting

        learner, checkpoint = TorchDistiller(start, schedule, Weighting(labels, soft)), self._folder / "study.npz"
        checkpoint.unlink(missing_ok=True)
        history = fit(learner, self.corpus, schedule, checkpoint, batches=self._targets.batches)
        checkpoint.unlink()
        return learner, [epoch["validation_cer"] for epoch in history.epochs]

    def cer(self, model: Any) -> float:
        """CER of a model on the validation split."""
        from crnn.training.loop import validation_cer
        from crnn.training.torch_learner import TorchLearner

        return validation_cer(TorchLearner(model, TUNING), self.corpus.validation, self.corpus.alphabet)

    def prune(self, model: Any, criterion: str, macs: float) -> Any:
        """A copy without the least important units by the criterion; a line takes at most ``macs`` MACs."""
        from crnn.optimize.iterative_pruning import smaller
        from crnn.training.torch_distiller import TorchDistiller, Weighting

        ranked_by = TorchDistiller(model, TUNING, Weighting())
        return smaller(model, criterion, ranked_by, self._targets.batches(0), macs)
