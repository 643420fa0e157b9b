"""Train a Keras CRNN whose layers are wrapped by tfmot's ``prune_low_magnitude``."""

from crnn.models.keras_crnn import keras, tf
from crnn.training.keras_learner import KerasLearner
from crnn.training.loop import Schedule


class KerasPruner(KerasLearner):
    """Learner that keeps pruned weights at zero."""

    def __init__(self, start: keras.Model, schedule: Schedule) -> None:
        """Continue with a wrapped model; its pruning schedule starts at step 0."""
        super().__init__(start, schedule)
        self._wrappers = [layer for layer in self.model.layers if hasattr(layer, "pruning_step")]
        for wrapper in self._wrappers:
            # The step is one of the wrapper's weights, so a checkpoint keeps it.
            wrapper.pruning_step.assign(0)

    def _step(self, images: tf.Tensor, field: tf.Tensor, classes: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        loss = super()._step(images, field, classes, lengths)
        # The update moved pruned weights too; validation and the saved model need them at zero.
        for wrapper in self._wrappers:
            wrapper.pruning_obj.weight_mask_op()
        return loss
