"""Knowledge distillation, offline and response-based (Hinton et al., 2015, arXiv:1503.02531)."""

from dataclasses import asdict
from typing import Any, Unpack

from crnn.models.config import CRNNConfig
from crnn.optimize.recipe import Build
from crnn.optimize.tuning import ScheduleOptions, schedule_for, tuned

STUDENT_CHANNELS = (16, 32, 64, 128, 192)
STUDENT_LSTM_UNITS = (192, 192)
_VIEWS = 4


def distill(
    build: Build,
    *,
    labels: float = 1.0,
    soft: float = 1.0,
    temperature: float = 2.0,
    **schedule_options: Unpack[ScheduleOptions],
) -> dict[str, Any]:
    """Train a smaller CRNN on the labels and on the parent's stored soft outputs.

    Args:
        build: the artifact to build.
        labels: weight of the CTC loss on the labels.
        soft: weight of the divergence from the parent's distribution.
        temperature: divides the logits of both distributions, see ``Weighting``.
        schedule_options: override the schedule.

    Raises:
        RecipeError: the parent has another alphabet than the corpus.
    """
    from crnn.formats import pt_file
    from crnn.training.torch_distiller import TorchDistiller, Weighting, answers_of

    teacher, schedule = build.teacher, schedule_for(build, **schedule_options)
    weighting = Weighting(labels, soft, temperature)
    targets = answers_of(teacher, build.corpus, schedule, build.checkpoint.parent, _VIEWS)

    config = CRNNConfig.of_corpus(build.corpus, channels=STUDENT_CHANNELS, lstm_units=STUDENT_LSTM_UNITS)
    learner = TorchDistiller(config, schedule, weighting)
    notes = tuned(build, learner, schedule, pt_file.save, targets.batches, {"weighting": asdict(weighting)})
    return notes | {"config": config.to_json()}
