"""Magnitude pruning: the smallest weights become zero, a few more at every step; then the others are tuned.

Zhu and Gupta, 2017, arXiv:1710.01878, with TensorFlow's model optimization toolkit (tfmot).
Zeros are stored like other weights: only a compressed or sparse file is smaller, and dense
kernels are not faster.
"""

from math import ceil
from typing import TYPE_CHECKING, Any, Unpack

from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import ScheduleOptions, schedule_for, tuned
from crnn.training.batches import steps_per_epoch
from crnn.training.loop import Schedule

if TYPE_CHECKING:
    from crnn.models.keras_crnn import keras

FREQUENCY_STEPS = 25
_TUNING = Schedule(epochs=6, peak_learning_rate=1e-3, warmup_share=0.2)


def check_sparsity(initial: float, final: float) -> None:
    """Refuse sparsities that are out of range or falling.

    Raises:
        RecipeError: not ``0 <= initial <= final < 1``.
    """
    if not 0 <= initial <= final < 1:
        raise RecipeError(f"sparsity has to rise within [0, 1), not from {initial:g} to {final:g}")


def last_pruning_step(share: float, epochs: int, per_epoch: int) -> int:
    """The training step that reaches the final sparsity.

    Args:
        share: of all training steps, during which sparsity rises.
        epochs: of the training.
        per_epoch: steps per epoch.

    Raises:
        RecipeError: no whole epoch is left after it, and the model needs one to recover.
    """
    steps = epochs * per_epoch
    # Masks are updated once per FREQUENCY_STEPS steps: the last pruning step has to be such a step.
    end = ceil(share * steps / FREQUENCY_STEPS) * FREQUENCY_STEPS
    if not 0 < end <= steps - per_epoch:
        raise RecipeError(
            f"pruning would end with step {end:,}, training has {steps:,} steps ({epochs} epochs of {per_epoch:,}): "
            f"it has to end by step {steps - per_epoch:,}, so that an epoch without pruning follows"
        )
    return end


def wrapped(model: "keras.Model", recurrent: bool, decay: Any) -> "keras.Model":
    """A copy whose layers are pruned while they train.

    Args:
        model: not changed.
        recurrent: whether to prune LSTMs too, or Conv2D and Dense only.
        decay: tfmot's pruning schedule.
    """
    import tensorflow_model_optimization as tfmot

    from crnn.models.keras_crnn import keras, weighted_layers

    chosen = {layer.name for layer in weighted_layers(model, recurrent)}

    def wrap(layer: "keras.layers.Layer") -> "keras.layers.Layer":
        copy = layer.__class__.from_config(layer.get_config())
        return tfmot.sparsity.keras.prune_low_magnitude(copy, decay) if layer.name in chosen else copy

    copy = keras.models.clone_model(model, clone_function=wrap)
    for source, target in zip(model.layers, copy.layers, strict=True):
        # A wrapper's own weights, such as its masks, come after those of its layer.
        target.set_weights(source.get_weights() + target.get_weights()[len(source.get_weights()) :])
    return copy


def prune(
    build: Build,
    *,
    recurrent: bool,
    initial_sparsity: float = 0.5,
    final_sparsity: float = 0.8,
    pruning_share: float = 1 / 3,
    **schedule_options: Unpack[ScheduleOptions],
) -> dict[str, Any]:
    """Prune by magnitude while training on the labels, then tune the remaining weights.

    Args:
        build: the artifact to build.
        recurrent: whether to prune LSTMs too.
        initial_sparsity: share of zeros at the first step.
        final_sparsity: share of zeros from the last pruning step on.
        pruning_share: share of all steps during which sparsity rises.
        schedule_options: override the schedule.

    Raises:
        RecipeError: sparsities outside [0, 1), no epoch left after the last pruning step,
            or the parent has another alphabet.
    """
    check_sparsity(initial_sparsity, final_sparsity)
    schedule = schedule_for(build, _TUNING, **schedule_options)
    per_epoch = steps_per_epoch(build.corpus.train, schedule.batch_size)
    end = last_pruning_step(pruning_share, schedule.epochs, per_epoch)
    parent = build.teacher

    import tensorflow_model_optimization as tfmot

    from crnn.formats import keras_file
    from crnn.training.keras_learner import bfloat16
    from crnn.training.keras_pruner import KerasPruner

    decay = tfmot.sparsity.keras.PolynomialDecay(initial_sparsity, final_sparsity, 0, end, frequency=FREQUENCY_STEPS)
    learner = KerasPruner(wrapped(keras_file.load(parent), recurrent, decay), schedule)
    settings = {
        "recurrent": recurrent,
        "initial_sparsity": initial_sparsity,
        "final_sparsity": final_sparsity,
        "last_pruning_step": end,
    }

    def save(model: "keras.Model", path: Any) -> None:
        keras_file.save_compressed(tfmot.sparsity.keras.strip_pruning(model), path)

    with bfloat16():
        return tuned(build, learner, schedule, save, settings=settings, keep_from=ceil(end / per_epoch))
