"""The originals: the CRNN trained from scratch in its own framework."""

from typing import Any

from crnn.models.config import CRNNConfig
from crnn.optimize.recipe import Build
from crnn.optimize.tuning import schedule_for, tuned


def _config(build: Build) -> CRNNConfig:
    return CRNNConfig(classes=len(build.corpus.alphabet) + 1)


def train_torch(build: Build) -> dict[str, Any]:
    """Train in PyTorch."""
    from crnn.models import torch_crnn
    from crnn.training.torch_learner import TorchLearner

    schedule, config = schedule_for(build), _config(build)
    notes = tuned(build, TorchLearner(config, schedule), schedule, torch_crnn.save)
    return notes | {"config": config.to_json()}


def train_keras(build: Build) -> dict[str, Any]:
    """Train in Keras."""
    from crnn.models import keras_crnn
    from crnn.training.keras_learner import KerasLearner, bfloat16

    schedule, config = schedule_for(build), _config(build)
    with bfloat16():
        notes = tuned(build, KerasLearner(config, schedule), schedule, keras_crnn.save)
    return notes | {"config": config.to_json()}
