"""Knowledge distillation, offline and response-based (Hinton et al., 2015, arXiv:1503.02531)."""

from dataclasses import asdict
from typing import Any

from crnn.models.config import CRNNConfig
from crnn.optimize.recipe import Build
from crnn.optimize.tuning import schedule_for, tuned

STUDENT_CHANNELS = (16, 32, 64, 128, 192)
STUDENT_LSTM_UNITS = (192, 192)
_VIEWS = 4


def distill(build: Build) -> dict[str, Any]:
    """Train a smaller CRNN on the labels and on the parent's stored soft outputs.

    The options ``labels``, ``soft`` and ``temperature`` weigh the two, see ``Weighting``.

    Raises:
        RecipeError: the parent reads another alphabet than the corpus is written in.
    """
    from crnn.models import torch_crnn
    from crnn.training.torch_distiller import TorchDistiller, Weighting, answers_of

    teacher, schedule = build.teacher, schedule_for(build)
    given = {name: build.options[name] for name in ("labels", "soft", "temperature") if name in build.options}
    weighting = Weighting(**given)
    targets = answers_of(teacher, build.corpus, schedule, build.checkpoint.parent, _VIEWS)

    config = CRNNConfig(
        classes=len(build.corpus.alphabet) + 1, channels=STUDENT_CHANNELS, lstm_units=STUDENT_LSTM_UNITS
    )
    learner = TorchDistiller(config, schedule, weighting)
    notes = tuned(build, learner, schedule, torch_crnn.save, targets.batches, {"weighting": asdict(weighting)})
    return notes | {"config": config.to_json()}
