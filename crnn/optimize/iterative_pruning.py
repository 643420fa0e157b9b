"""Structured pruning in steps: units ranked across all layers by what they give for their multiply-adds.

Each step removes the blocks of units that matter least per multiply-add saved, then the
rest is tuned on the labels and on the original's stored soft outputs.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn.formats import macs
from crnn.models.config import CRNNConfig
from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import schedule_for, tuned
from crnn.training.loop import Schedule, fit

if TYPE_CHECKING:
    from crnn.models.torch_crnn import CRNN
    from crnn.training.torch_distiller import TorchDistiller

BLOCK = 8
"""Units are removed in blocks of as many: vector instructions compute the rest of a started block anyway."""

_RANKING_BATCHES = 40
_STEP = Schedule(epochs=1, peak_learning_rate=1e-3, warmup_share=0.2)
_LAST = Schedule(epochs=20, peak_learning_rate=2e-3, warmup_share=0.2)
# No epoch repeats a view: with four of them the CER of labels that were never seen fell less than the validation's.
_VIEWS = _LAST.epochs


def _without(config: CRNNConfig, layer: int, units: int) -> CRNNConfig:
    """The config with one layer smaller; convolutions are counted first, then LSTMs."""
    counts = [*config.channels, *config.lstm_units]
    counts[layer] -= units
    convolutions = len(config.channels)
    return replace(config, channels=tuple(counts[:convolutions]), lstm_units=tuple(counts[convolutions:]))


def select(config: CRNNConfig, scores: Sequence[np.ndarray], multiply_adds: float) -> list[list[int]]:
    """Which units of each layer stay so that a line costs at most ``multiply_adds``.

    Args:
        config: of the model as it is.
        scores: how much each unit matters, one array a layer, comparable across layers.
        multiply_adds: the target for one line.

    Raises:
        RecipeError: with a single block left in each layer a line still costs more.
    """
    order = [np.argsort(score, kind="stable") for score in scores]
    removed = [0] * len(scores)
    while macs.of_config(config) > multiply_adds:
        now, choices = macs.of_config(config), []
        for layer, score in enumerate(scores):
            left = len(score) - removed[layer]
            # The first removal leaves whole blocks, whatever the layer had.
            size = left % BLOCK or BLOCK
            if left - size < BLOCK:
                continue
            lost = float(score[order[layer][removed[layer] : removed[layer] + size]].sum())
            saved = now - macs.of_config(_without(config, layer, size))
            choices.append((lost, saved, layer, size))
        if not choices:
            raise RecipeError(f"a line cannot cost less than {now:,} multiply-adds, {multiply_adds:,.0f} are asked for")
        # The last block need not save much: of those that reach the target, the one that loses least.
        last = [choice for choice in choices if now - choice[1] <= multiply_adds]
        *_, layer, size = min(last) if last else min(choices, key=lambda choice: choice[0] / choice[1])
        removed[layer] += size
        config = _without(config, layer, size)
    return [sorted(ranks[count:].tolist()) for ranks, count in zip(order, removed, strict=True)]


def check_reachable(config: CRNNConfig, reduction: float) -> None:
    """Refuse a reduction that would leave a layer with nothing.

    Raises:
        RecipeError: it is not above 1, or not reachable.
    """
    if not reduction > 1:
        raise RecipeError(f"the reduction of multiply-adds must be above 1, not {reduction:g}")
    counts = (*config.channels, *config.lstm_units)
    select(config, [np.ones(units) for units in counts], macs.of_config(config) / reduction)


def smaller(model: "CRNN", criterion: str, learner: "TorchDistiller", batches: Any, multiply_adds: float) -> "CRNN":
    """The model less the units that matter least by the criterion."""
    from crnn.optimize import torch_channels
    from crnn.optimize.importance import importance

    model.eval()
    scores = importance(model, criterion, learner.loss, islice(batches, _RANKING_BATCHES))
    kept = select(model.config, [score.numpy() for score in scores], multiply_adds)
    return torch_channels.keep(model, kept)


def prune(build: Build) -> dict[str, Any]:
    """Prune and tune in turn until a line costs ``reduction`` times fewer multiply-adds.

    The options are ``reduction``, ``steps`` and ``criterion`` (see ``importance.py``).
    An interrupted build goes on with the step that it was in.

    Raises:
        RecipeError: the reduction is not above 1 or leaves nothing of a layer, or the
            parent reads another alphabet.
    """
    from crnn.models import torch_crnn
    from crnn.training.torch_distiller import TorchDistiller, Weighting, answers_of

    reduction, steps = build.options.get("reduction", 3.0), build.options.get("steps", 4)
    criterion = build.options.get("criterion", "taylor")
    teacher = build.teacher
    model = torch_crnn.load(teacher)
    check_reachable(model.config, reduction)
    last = schedule_for(build, _LAST)
    step = replace(last, **{name: getattr(_STEP, name) for name in ("epochs", "peak_learning_rate", "warmup_share")})
    targets = answers_of(teacher, build.corpus, last, build.checkpoint.parent, _VIEWS)
    weighting, whole = Weighting(), macs.of_config(model.config)
    settings = {"reduction": reduction, "steps": steps, "criterion": criterion, "weighting": asdict(weighting)}
    made_of = [settings, asdict(step), asdict(last), build.corpus.sha256, sha256(teacher.read_bytes()).hexdigest()]
    key = sha256(json.dumps(made_of).encode()).hexdigest()[:12]
    done = [build.checkpoint.with_name(f"{build.name}-{key}-{index}.pt") for index in range(1, steps + 1)]
    for index, file in enumerate(done, start=1):
        if file.exists():
            model = torch_crnn.load(file)
            continue
        target = whole / reduction ** (index / steps)
        model = smaller(model, criterion, TorchDistiller(model, step, weighting), targets.batches(0), target)
        if index < steps:
            checkpoint = file.with_suffix(".npz")
            learner = TorchDistiller(model, step, weighting)
            fit(learner, build.corpus, step, checkpoint, batches=targets.batches, settings=settings)
            checkpoint.unlink()
        torch_crnn.save(model, file)
    learner = TorchDistiller(model, last, weighting)
    notes = tuned(build, learner, last, torch_crnn.save, targets.batches, settings)
    for file in done:
        file.unlink()
    return notes | {"config": model.config.to_json(), "multiply_adds_per_line": macs.of_config(model.config)}
