"""Weight clustering of the Keras CRNN by TensorFlow's model optimization toolkit; PyTorch's is ``clustering.py``.

The file is a plain ``.keras`` whose tensors hold few values each: it is compressed, which
is where the gain shows.
"""

from typing import TYPE_CHECKING, Any

from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import schedule_for, tuned
from crnn.training.loop import Schedule

if TYPE_CHECKING:
    from crnn.models.keras_crnn import keras

_TUNING = Schedule(epochs=1, peak_learning_rate=2e-4, warmup_share=0.1)


def wrapped(model: "keras.Model", clusters: int, keep_zeros: bool) -> "keras.Model":
    """A copy whose filter banks and matrices take ``clusters`` values each while they train.

    Args:
        model: stays as it is.
        clusters: values a tensor.
        keep_zeros: whether what is zero stays zero, which takes one of the values.

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

    # The wrapper reads a layer's weights and takes the layer itself in, so the copy comes first.
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


def cluster(build: Build) -> dict[str, Any]:
    """Cluster each filter bank and matrix into ``clusters`` values and tune those.

    The option ``keep_zeros`` is for a parent that was pruned.

    Raises:
        RecipeError: a tensor has fewer weights than clusters, or the parent reads
            another alphabet.
    """
    clusters, keep_zeros = build.options.get("clusters", 16), build.options.get("keep_zeros", False)
    parent = build.teacher

    import tensorflow_model_optimization as tfmot

    from crnn.models import keras_crnn
    from crnn.training.keras_learner import KerasLearner, bfloat16

    schedule = schedule_for(build, _TUNING)
    learner = KerasLearner(wrapped(keras_crnn.load(parent), clusters, keep_zeros), schedule)

    def save(model: "keras.Model", path: Any) -> None:
        keras_crnn.save_compressed(tfmot.clustering.keras.strip_clustering(model), path)

    with bfloat16():
        return tuned(build, learner, schedule, save, settings={"clusters": clusters, "keep_zeros": keep_zeros})
