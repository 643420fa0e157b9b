"""Training a Keras CRNN whose layers are wrapped by tfmot's ``prune_low_magnitude``."""

from crnn.models.keras_crnn import keras, tf
from crnn.training.keras_learner import KerasLearner
from crnn.training.loop import Schedule


class KerasPruner(KerasLearner):
    """Keeps what the wrappers prune at zero."""

    def __init__(self, start: keras.Model, schedule: Schedule) -> None:
        """As ``KerasLearner``, for a wrapped model."""
        super().__init__(start, schedule)
        self._wrappers = [layer for layer in self.model.layers if hasattr(layer, "pruning_step")]
        for wrapper in self._wrappers:
            # A wrapper counts the calls in training from here on; as one of its weights it is in a checkpoint too.
            wrapper.pruning_step.assign(0)

    def _step(self, images: tf.Tensor, field: tf.Tensor, classes: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        loss = super()._step(images, field, classes, lengths)
        # The update moved pruned weights too: what is validated and saved has zeros there.
        for wrapper in self._wrappers:
            wrapper.pruning_obj.weight_mask_op()
        return loss
