"""The originals: the CRNN trained from scratch in its own framework."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from crnn.corpus import Corpus
from crnn.models.config import CRNNConfig
from crnn.optimize.recipe import Build
from crnn.training.batches import steps_per_epoch
from crnn.training.loop import Learner, Schedule, fit

# A small corpus gets as many updates as this, spread over more epochs.
_LEAST_STEPS = 2_000


def schedule_for(corpus: Corpus, options: Mapping[str, Any]) -> Schedule:
    """The default schedule, more epochs for a small corpus, and what the options override."""
    given = {item.name: options[item.name] for item in fields(Schedule) if options.get(item.name) is not None}
    schedule = Schedule(**given)
    if "epochs" in given:
        return schedule
    epochs = -(-_LEAST_STEPS // steps_per_epoch(corpus.train, schedule.batch_size))
    return Schedule(**given | {"epochs": max(schedule.epochs, epochs), "patience": max(schedule.patience, epochs // 5)})


def _train(build: Build, learner_class: type[Learner], save: Callable[[Any, Path], None]) -> dict[str, Any]:
    schedule, config = schedule_for(build.corpus, build.options), CRNNConfig(classes=len(build.corpus.alphabet) + 1)
    learner = learner_class(config, schedule)
    history = fit(learner, build.corpus, schedule, build.checkpoint)
    save(learner.model, build.target)
    return {
        "seed": schedule.seed,
        "schedule": asdict(schedule),
        "config": config.to_json(),
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
    }


def train_torch(build: Build) -> dict[str, Any]:
    """Train in PyTorch."""
    from crnn.models import torch_crnn
    from crnn.training.torch_learner import TorchLearner

    return _train(build, TorchLearner, torch_crnn.save)


def train_keras(build: Build) -> dict[str, Any]:
    """Train in Keras."""
    from crnn.models import keras_crnn
    from crnn.models.keras_crnn import tf
    from crnn.training.keras_learner import KerasLearner

    # The counterpart of the PyTorch learner's autocast: a step takes a bit more than half the time.
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    return _train(build, KerasLearner, keras_crnn.save)
