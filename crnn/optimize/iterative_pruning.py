"""Structured pruning in steps: units are ranked across all layers by importance per MAC.

Each step removes the least important blocks of units per MAC saved. Then the model is tuned
on the labels and on the original's stored soft outputs.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from crnn.formats.counts import macs_of_config
from crnn.models.config import CRNNConfig
from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import ScheduleOptions, schedule_for, tuned
from crnn.training.loop import Schedule, fit

if TYPE_CHECKING:
    from crnn.models.torch_crnn import CRNN
    from crnn.training.torch_distiller import TorchDistiller

BLOCK = 8
"""Units are removed in blocks of this size: vector instructions compute whole blocks anyway."""

_RANKING_BATCHES = 40
_STEP = Schedule(epochs=1, peak_learning_rate=1e-3, warmup_share=0.2)
_LAST = Schedule(epochs=20, peak_learning_rate=2e-3, warmup_share=0.2)
# No epoch repeats a view: with four views the CER on labels that are not in training fell less than the validation CER.
_VIEWS = _LAST.epochs


def _without(config: CRNNConfig, layer: int, units: int) -> CRNNConfig:
    """The config with one layer narrower by ``units``; ``layer`` counts convolutions first, then LSTMs."""
    counts = [*config.channels, *config.lstm_units]
    counts[layer] -= units
    convolutions = len(config.channels)
    return replace(config, channels=tuple(counts[:convolutions]), lstm_units=tuple(counts[convolutions:]))


def select(config: CRNNConfig, scores: Sequence[np.ndarray], macs: float) -> list[list[int]]:
    """Select the units that stay, so that a line takes at most ``macs`` MACs.

    Args:
        config: of the model before pruning.
        scores: importance of each unit, one array (U,) per layer, comparable across layers.
        macs: the target for one line.

    Returns:
        Indices of the units that stay, ascending, one list per layer.

    Raises:
        RecipeError: a line takes more even with a single block left in each layer.
    """
    order = [np.argsort(score, kind="stable") for score in scores]
    removed = [0] * len(scores)
    while macs_of_config(config) > macs:
        now, choices = macs_of_config(config), []
        for layer, score in enumerate(scores):
            left = len(score) - removed[layer]
            # The first removal leaves whole blocks, even if the layer's width is not a multiple of a block.
            size = left % BLOCK or BLOCK
            if left - size < BLOCK:
                continue
            lost = float(score[order[layer][removed[layer] : removed[layer] + size]].sum())
            saved = now - macs_of_config(_without(config, layer, size))
            choices.append((lost, saved, layer, size))
        if not choices:
            raise RecipeError(f"a line cannot take fewer than {now:,} MACs; {macs:,.0f} were asked for")
        # Once a block reaches the target, its savings no longer matter: take the one that loses least.
        last = [choice for choice in choices if now - choice[1] <= macs]
        *_, layer, size = min(last) if last else min(choices, key=lambda choice: choice[0] / choice[1])
        removed[layer] += size
        config = _without(config, layer, size)
    return [sorted(ranks[count:].tolist()) for ranks, count in zip(order, removed, strict=True)]


def check_reachable(config: CRNNConfig, reduction: float) -> None:
    """Refuse a reduction that pruning cannot reach.

    Raises:
        RecipeError: the reduction is not above 1, or would leave a layer without units.
    """
    if not reduction > 1:
        raise RecipeError(f"the reduction of MACs must be above 1, not {reduction:g}")
    counts = (*config.channels, *config.lstm_units)
    select(config, [np.ones(units) for units in counts], macs_of_config(config) / reduction)


def smaller(model: "CRNN", criterion: str, learner: "TorchDistiller", batches: Any, macs: float) -> "CRNN":
    """A copy without the least important units by the criterion; a line takes at most ``macs`` MACs."""
    from crnn.optimize import torch_channels
    from crnn.optimize.importance import importance

    model.eval()
    scores = importance(model, criterion, learner.loss, islice(batches, _RANKING_BATCHES))
    kept = select(model.config, [score.numpy() for score in scores], macs)
    return torch_channels.keep(model, kept)


def prune(
    build: Build,
    *,
    reduction: float = 3.0,
    steps: int = 4,
    criterion: str = "taylor",
    **schedule_options: Unpack[ScheduleOptions],
) -> dict[str, Any]:
    """Alternate pruning and tuning until a line takes 1/``reduction`` of the MACs.

    An interrupted build resumes at the step that was interrupted.

    Args:
        build: the artifact to build.
        reduction: MACs per line before / after pruning, above 1.
        steps: number of pruning steps.
        criterion: see ``importance.py``.
        schedule_options: override the schedule of the last tuning.

    Raises:
        RecipeError: the reduction is not above 1 or would leave a layer without units, or the
            parent has another alphabet.
    """
    from crnn.formats import pt_file
    from crnn.training.torch_distiller import TorchDistiller, Weighting, answers_of

    teacher = build.teacher
    model = pt_file.load_crnn(teacher)
    check_reachable(model.config, reduction)
    last = schedule_for(build, _LAST, **schedule_options)
    step = replace(last, **{name: getattr(_STEP, name) for name in ("epochs", "peak_learning_rate", "warmup_share")})
    targets = answers_of(teacher, build.corpus, last, build.checkpoint.parent, _VIEWS)
    weighting, whole = Weighting(), macs_of_config(model.config)
    settings = {"reduction": reduction, "steps": steps, "criterion": criterion, "weighting": asdict(weighting)}
    made_of = [settings, asdict(step), asdict(last), build.corpus.sha256, sha256(teacher.read_bytes()).hexdigest()]
    key = sha256(json.dumps(made_of).encode()).hexdigest()[:12]
    done = [build.checkpoint.with_name(f"{build.name}-{key}-{index}.pt") for index in range(1, steps + 1)]
    for index, file in enumerate(done, start=1):
        if file.exists():
            model = pt_file.load_crnn(file)
            continue
        target = whole / reduction ** (index / steps)
        model = smaller(model, criterion, TorchDistiller(model, step, weighting), targets.batches(0), target)
        if index < steps:
            checkpoint = file.with_suffix(".npz")
            learner = TorchDistiller(model, step, weighting)
            fit(learner, build.corpus, step, checkpoint, batches=targets.batches, settings=settings)
            checkpoint.unlink()
        pt_file.save(model, file)
    learner = TorchDistiller(model, last, weighting)
    notes = tuned(build, learner, last, pt_file.save, targets.batches, settings)
    for file in done:
        file.unlink()
    return notes | {"config": model.config.to_json(), "multiply_adds_per_line": macs_of_config(model.config)}
