"""Train the Keras CRNN; the PyTorch counterpart is ``torch_learner.py``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from crnn.models import keras_crnn
from crnn.models.config import CRNNConfig
from crnn.models.keras_crnn import keras, tf
from crnn.processor import instruction_sets
from crnn.text import BLANK
from crnn.training.batches import Batch
from crnn.training.loop import Schedule, State


@contextmanager
def bfloat16() -> Iterator[None]:
    """Train in bfloat16, as the PyTorch learner's autocast does; a step takes little more than half the time.

    Not on processors with AMX, where it trains in float32: four trainings there, on lines of 608 columns, ended in
    gradients of convolutions that were no numbers, at different steps. The same training with
    ``ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16``, and one in float32, went on (TensorFlow 2.21.0).

    The option applies to the whole process, so it is reset for conversions and measurements that follow.
    """
    option = "auto_mixed_precision_onednn_bfloat16"
    tf.config.optimizer.set_experimental_options({option: "AMX-BF16" not in instruction_sets()})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: False})


class KerasLearner:
    """Learner with AdamW on the CTC loss and one compiled step."""

    def __init__(self, start: CRNNConfig | keras.Model, schedule: Schedule) -> None:
        """Continue with a model, or initialize one from the schedule's seed."""
        keras.utils.set_random_seed(schedule.seed)
        tf.config.experimental.enable_op_determinism()
        self.model = start if isinstance(start, keras.Model) else keras_crnn.build(start)
        self._optimizer = keras.optimizers.AdamW(weight_decay=schedule.weight_decay, global_clipnorm=schedule.clip_norm)
        self._optimizer.build(self.model.trainable_variables)
        self._update = tf.function(self._step, reduce_retracing=True)
        self._serve = keras_crnn.serving_function(self.model)

    def _step(self, images: tf.Tensor, field: tf.Tensor, classes: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            # (B, H, W) -> (B, H, W, 1)
            logits = self.model([images[..., None], field], training=True)
            steps = tf.fill([tf.shape(logits)[0]], tf.shape(logits)[1])
            losses = tf.nn.ctc_loss(classes, logits, lengths, steps, logits_time_major=False, blank_index=BLANK)
            loss = tf.reduce_mean(losses)
        variables = self.model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def step(self, batch: Batch, learning_rate: float) -> float:
        """Update the weights once; return the batch's mean loss in nats per line."""
        self._optimizer.learning_rate.assign(learning_rate)
        return float(self._update(*map(tf.constant, batch)))

    def log_probs(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Compute log probabilities float32 (B, T, C) in evaluation mode."""
        return self._serve(images, field).numpy()

    def state(self) -> State:
        """Return weights and optimizer state as arrays, weights under ``weights/``."""
        weights = {f"weights/{index:03}": value for index, value in enumerate(self.model.get_weights())}
        moments = {f"optimizer/{index:03}": value.numpy() for index, value in enumerate(self._optimizer.variables)}
        return weights | moments

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Set what ``state`` returned; the optimizer's part may be absent."""
        self.model.set_weights([state[key] for key in sorted(state) if key.startswith("weights/")])
        moments = [state[key] for key in sorted(state) if key.startswith("optimizer/")]
        if moments:
            for variable, value in zip(self._optimizer.variables, moments, strict=True):
                variable.assign(value)
