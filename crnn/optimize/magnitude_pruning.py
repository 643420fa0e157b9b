"""Magnitude pruning: the smallest weights become zero, a few more at every step, then the rest is tuned.

Zhu and Gupta, 2017, arXiv:1710.01878, by TensorFlow's model optimization toolkit. The
zeros are stored like other weights: only a compressed or sparse file is smaller, and
dense kernels are not faster.
"""

from math import ceil
from typing import TYPE_CHECKING, Any

from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import schedule_for, tuned
from crnn.training.batches import steps_per_epoch
from crnn.training.loop import Schedule

if TYPE_CHECKING:
    from crnn.models.keras_crnn import keras

FREQUENCY_STEPS = 25
_TUNING = Schedule(epochs=6, peak_learning_rate=1e-3, warmup_share=0.2)


def check_sparsity(initial: float, final: float) -> None:
    """Refuse what is no sparsity, or would leave a layer nothing.

    Raises:
        RecipeError: not ``0 <= initial <= final < 1``.
    """
    if not 0 <= initial <= final < 1:
        raise RecipeError(f"sparsity has to rise within [0, 1), not from {initial:g} to {final:g}")


def last_pruning_step(share: float, epochs: int, per_epoch: int) -> int:
    """The step in which the final sparsity is reached.

    Args:
        share: of all training steps, in which pruning goes on.
        epochs: of the training.
        per_epoch: steps of each.

    Raises:
        RecipeError: no whole epoch is left after it, which the loss of the last zeros needs.
    """
    steps = epochs * per_epoch
    # Masks are renewed in every so many steps: the last of them has to be one.
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
        model: stays as it is.
        recurrent: whether LSTMs are pruned too, or Conv2D and Dense only.
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
        # A wrapper's own weights, masks among them, follow those of its layer.
        target.set_weights(source.get_weights() + target.get_weights()[len(source.get_weights()) :])
    return copy


def prune(build: Build) -> dict[str, Any]:
    """Prune by magnitude while training on the labels, then train on with what is left.

    The options are ``recurrent``, ``initial_sparsity``, ``final_sparsity`` and
    ``pruning_share``, the part of all steps in which the sparsity rises.

    Raises:
        RecipeError: sparsities outside [0, 1), no epoch left after the last pruning step,
            or the parent reads another alphabet.
    """
    initial, final = build.options.get("initial_sparsity", 0.5), build.options.get("final_sparsity", 0.8)
    recurrent, share = build.options["recurrent"], build.options.get("pruning_share", 1 / 3)
    check_sparsity(initial, final)
    schedule = schedule_for(build, _TUNING)
    per_epoch = steps_per_epoch(build.corpus.train, schedule.batch_size)
    end = last_pruning_step(share, schedule.epochs, per_epoch)
    parent = build.teacher

    import tensorflow_model_optimization as tfmot

    from crnn.models import keras_crnn
    from crnn.training.keras_learner import bfloat16
    from crnn.training.keras_pruner import KerasPruner

    decay = tfmot.sparsity.keras.PolynomialDecay(initial, final, 0, end, frequency=FREQUENCY_STEPS)
    learner = KerasPruner(wrapped(keras_crnn.load(parent), recurrent, decay), schedule)
    settings = {
        "recurrent": recurrent,
        "initial_sparsity": initial,
        "final_sparsity": final,
        "last_pruning_step": end,
    }

    def save(model: "keras.Model", path: Any) -> None:
        keras_crnn.save_compressed(tfmot.sparsity.keras.strip_pruning(model), path)

    with bfloat16():
        return tuned(build, learner, schedule, save, settings=settings, keep_from=ceil(end / per_epoch))
