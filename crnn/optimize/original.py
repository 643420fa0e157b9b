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

# A corpus of fewer lines than this gets smaller batches, the learning rate scaled by the root of
# their size, and as many epochs as give it this many updates.
_SMALL_CORPUS_LINES = 8_000
_SMALL_BATCH = {"batch_size": 16, "peak_learning_rate": 1e-3}
_LEAST_UPDATES = 2_500


def schedule_for(corpus: Corpus, options: Mapping[str, Any]) -> Schedule:
    """The default schedule, a longer one of smaller batches for a small corpus, and what the options override."""
    given = {item.name: options[item.name] for item in fields(Schedule) if options.get(item.name) is not None}
    if len(corpus.train) >= _SMALL_CORPUS_LINES:
        return Schedule(**given)
    schedule = Schedule(**_SMALL_BATCH | given)
    epochs = -(-_LEAST_UPDATES // steps_per_epoch(corpus.train, schedule.batch_size))
    longer = {"epochs": max(schedule.epochs, epochs), "patience": max(schedule.patience, epochs // 3)}
    return Schedule(**_SMALL_BATCH | longer | given)


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
