"""Weight clustering of the Keras CRNN with TensorFlow's model optimization toolkit (tfmot).

The artifact is a plain ``.keras`` file with few distinct values per tensor. Only compression
makes it smaller, so it is compressed. ``clustering.py`` does the same in PyTorch.
"""

from typing import TYPE_CHECKING, Any, Unpack

from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import ScheduleOptions, schedule_for, tuned
from crnn.training.loop import Schedule

if TYPE_CHECKING:
    from crnn.models.keras_crnn import keras

_TUNING = Schedule(epochs=1, peak_learning_rate=2e-4, warmup_share=0.1)


def wrapped(model: "keras.Model", clusters: int, keep_zeros: bool) -> "keras.Model":
    """A copy whose filter banks and matrices have ``clusters`` distinct values each while it trains.

    Args:
        model: not changed.
        clusters: values per tensor.
        keep_zeros: whether zeros stay zero; zero is then one of the values.

    Raises:
        RecipeError: fewer than two clusters, or a tensor has fewer weights than clusters.
    """
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster as experimental

    from crnn.models.keras_crnn import keras, weighted_layers

    if clusters < 2:
        raise RecipeError(f"clustering takes at least two clusters, not {clusters}")
    for layer in weighted_layers(model):
        for weights in layer.weights:
            if len(weights.shape) > 1 and weights.shape.num_elements() < clusters:
                raise RecipeError(f"{weights.name} has {weights.shape.num_elements()} weights, not {clusters}")

    # The wrapper reads a layer's weights and wraps the layer itself, so the model is copied first.
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    chosen = {layer.name for layer in weighted_layers(copy)}

    def wrap(layer: "keras.layers.Layer") -> "keras.layers.Layer":
        if layer.name not in chosen:
            return layer
        start = tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS
        if keep_zeros:
            return experimental.cluster_weights(layer, clusters, start, preserve_sparsity=True)
        return tfmot.clustering.keras.cluster_weights(layer, clusters, start)

    return keras.models.clone_model(copy, clone_function=wrap)


def cluster(
    build: Build, *, clusters: int = 16, keep_zeros: bool = False, **schedule_options: Unpack[ScheduleOptions]
) -> dict[str, Any]:
    """Cluster each filter bank and matrix and tune the shared values.

    Args:
        build: the artifact to build.
        clusters: values per tensor.
        keep_zeros: whether zeros stay zero, for a pruned parent.
        schedule_options: override the schedule.

    Raises:
        RecipeError: a tensor has fewer weights than clusters, or the parent has
            another alphabet.
    """
    parent = build.teacher

    import tensorflow_model_optimization as tfmot

    from crnn.formats import keras_file
    from crnn.training.keras_learner import KerasLearner, bfloat16

    schedule = schedule_for(build, _TUNING, **schedule_options)
    learner = KerasLearner(wrapped(keras_file.load(parent), clusters, keep_zeros), schedule)

    def save(model: "keras.Model", path: Any) -> None:
        keras_file.save_compressed(tfmot.clustering.keras.strip_clustering(model), path)

    with bfloat16():
        return tuned(build, learner, schedule, save, settings={"clusters": clusters, "keep_zeros": keep_zeros})
