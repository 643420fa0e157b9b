"""Structured pruning by a fixed share: each layer loses the same fraction of its channels, then the rest is tuned.

The channels with the smallest L1 norm go (Li et al., 2017, "Pruning Filters for Efficient
ConvNets", arXiv:1608.08710).
"""

from typing import Any, Unpack

from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import ScheduleOptions, schedule_for, tuned
from crnn.training.loop import Schedule

_TUNING = Schedule(epochs=4, peak_learning_rate=5e-4, warmup_share=0.1)


def check_fraction(fraction: float) -> None:
    """Refuse a fraction outside [0, 1).

    Raises:
        RecipeError: the fraction is outside [0, 1).
    """
    if not 0 <= fraction < 1:
        raise RecipeError(f"the fraction of channels to prune must be in [0, 1), not {fraction:g}")


def prune(
    build: Build, *, fraction: float = 0.1, recurrent: bool = True, **schedule_options: Unpack[ScheduleOptions]
) -> dict[str, Any]:
    """Remove a fraction of each layer's channels and tune the rest on the labels.

    Args:
        build: the artifact to build.
        fraction: of the channels, in [0, 1).
        recurrent: whether to remove LSTM units too.
        schedule_options: override the schedule.

    Raises:
        RecipeError: the fraction is outside [0, 1), or the parent has another alphabet.
    """
    check_fraction(fraction)
    parent = build.teacher

    from crnn.formats import pt_file
    from crnn.optimize import torch_channels
    from crnn.optimize.importance import l1_norm
    from crnn.training.torch_learner import TorchLearner

    model, schedule = pt_file.load_crnn(parent), schedule_for(build, _TUNING, **schedule_options)
    kept = []
    for group in torch_channels.groups(model):
        removed = int(group.units * fraction) if recurrent or not group.recurrent else 0
        order = l1_norm(model, group).argsort()
        kept.append(sorted(order[removed:].tolist()))
    smaller = torch_channels.keep(model, kept)
    settings = {"fraction": fraction, "recurrent": recurrent}
    notes = tuned(build, TorchLearner(smaller, schedule), schedule, pt_file.save, settings=settings)
    return notes | {"config": smaller.config.to_json()}
