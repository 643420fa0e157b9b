"""Structured pruning by a fixed share: every layer loses the same fraction of its channels, by L1 norm, and is tuned.

Li et al., 2017, "Pruning Filters for Efficient ConvNets", arXiv:1608.08710.
"""

from typing import Any

from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import schedule_for, tuned
from crnn.training.loop import Schedule

_TUNING = Schedule(epochs=4, peak_learning_rate=5e-4, warmup_share=0.1)


def check_fraction(fraction: float) -> None:
    """Refuse a fraction that is none.

    Raises:
        RecipeError: it is outside of [0, 1).
    """
    if not 0 <= fraction < 1:
        raise RecipeError(f"the fraction of channels to prune must be in [0, 1), not {fraction:g}")


def prune(build: Build) -> dict[str, Any]:
    """Remove the given fraction of each layer's channels and tune the rest on the labels.

    The options are ``fraction``, and ``recurrent``: whether LSTM units are removed too.

    Raises:
        RecipeError: the fraction is outside of [0, 1), or the parent reads another alphabet.
    """
    fraction, recurrent = build.options.get("fraction", 0.1), build.options.get("recurrent", True)
    check_fraction(fraction)
    parent = build.teacher

    from crnn.models import torch_crnn
    from crnn.optimize import torch_channels
    from crnn.optimize.importance import l1_norm
    from crnn.training.torch_learner import TorchLearner

    model, schedule = torch_crnn.load(parent), schedule_for(build, _TUNING)
    kept = []
    for group in torch_channels.groups(model):
        removed = int(group.units * fraction) if recurrent or not group.recurrent else 0
        order = l1_norm(model, group).argsort()
        kept.append(sorted(order[removed:].tolist()))
    smaller = torch_channels.keep(model, kept)
    settings = {"fraction": fraction, "recurrent": recurrent}
    notes = tuned(build, TorchLearner(smaller, schedule), schedule, torch_crnn.save, settings=settings)
    return notes | {"config": smaller.config.to_json()}
