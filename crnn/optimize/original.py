"""The originals: the CRNN trained from scratch, in PyTorch and in Keras."""

from typing import Any, Unpack

from crnn.models.config import CRNNConfig
from crnn.optimize.recipe import Build
from crnn.optimize.tuning import ScheduleOptions, schedule_for, tuned


def train_torch(build: Build, **schedule_options: Unpack[ScheduleOptions]) -> dict[str, Any]:
    """Train the CRNN in PyTorch."""
    from crnn.formats import pt_file
    from crnn.training.torch_learner import TorchLearner

    schedule, config = schedule_for(build, **schedule_options), CRNNConfig.of_corpus(build.corpus)
    notes = tuned(build, TorchLearner(config, schedule), schedule, pt_file.save)
    return notes | {"config": config.to_json()}


def train_keras(build: Build, **schedule_options: Unpack[ScheduleOptions]) -> dict[str, Any]:
    """Train the CRNN in Keras."""
    from crnn.formats import keras_file
    from crnn.training.keras_learner import KerasLearner, bfloat16

    schedule, config = schedule_for(build, **schedule_options), CRNNConfig.of_corpus(build.corpus)
    with bfloat16():
        notes = tuned(build, KerasLearner(config, schedule), schedule, keras_file.save)
    return notes | {"config": config.to_json()}
