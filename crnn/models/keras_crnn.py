"""The CRNN in Keras, stage by stage the same as ``torch_crnn.py``.

This is Keras 2 (``tf_keras``), the only version that TensorFlow's model optimization toolkit
supports. Import TensorFlow through this module, so that the switch is set first.
"""

import os

# TensorFlow logs a missing CUDA driver and skipped graph rewrites as errors; real errors are exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import tensorflow as tf
import tf_keras as keras

from crnn.models.config import CRNNConfig


def build(config: CRNNConfig) -> keras.Model:
    """``[images (B, H, W, 1), field (B, T, 2)] -> logits (B, T, C)``."""
    images = keras.Input((config.height, config.width, 1), name="images")
    field = keras.Input((config.time_steps, config.field_features), name="field")
    columns = images
    for index, (channels, pool) in enumerate(zip(config.channels, config.pools, strict=True), 1):
        columns = keras.layers.Conv2D(channels, 3, padding="same", name=f"conv{index}")(columns)
        columns = keras.layers.LeakyReLU(config.negative_slope, name=f"activation{index}")(columns)
        columns = keras.layers.BatchNormalization(
            # Keras takes the weight of the past, PyTorch that of the new batch.
            momentum=1 - config.batch_norm_momentum,
            epsilon=config.batch_norm_epsilon,
            name=f"norm{index}",
        )(columns)
        columns = keras.layers.MaxPooling2D(pool, name=f"pool{index}")(columns)
    # (B, 1, T, F) -> (B, T, F)
    steps = keras.layers.Reshape((config.time_steps, config.channels[-1]), name="columns")(columns)
    steps = keras.layers.Concatenate(name="join_field")([steps, field])  # (B, T, F + 2)
    for index, units in enumerate(config.lstm_units, 1):
        steps = keras.layers.LSTM(units, return_sequences=True, name=f"lstm{index}")(steps)
    logits = keras.layers.Dense(config.classes, name="classifier")(steps)
    return keras.Model([images, field], logits, name="crnn")


def serving_function(model: keras.Model, **options: bool) -> tf.types.experimental.PolymorphicFunction:
    """The deployed function: ``(images (B, H, W), field (B, T, 2)) -> log probabilities (B, T, C)``.

    Args:
        model: what ``build`` returns, or an optimized model with the same inputs and outputs.
        options: passed on to ``tf.function``, such as ``jit_compile``.
    """
    signature = [
        tf.TensorSpec((None, *model.inputs[0].shape[1:3]), tf.float32, name="images"),
        tf.TensorSpec((None, *model.inputs[1].shape[1:]), tf.float32, name="field"),
    ]

    def log_probabilities(images: tf.Tensor, field: tf.Tensor) -> tf.Tensor:
        # (B, H, W) -> (B, H, W, 1)
        return tf.nn.log_softmax(model([images[..., None], field], training=False))

    return tf.function(log_probabilities, input_signature=signature, **options)


def weighted_layers(model: keras.Model, recurrent: bool = True) -> list[keras.layers.Layer]:
    """The layers with filter banks and matrices; LSTMs only if ``recurrent``."""
    kinds = (keras.layers.Conv2D, keras.layers.Dense, *((keras.layers.LSTM,) if recurrent else ()))
    return [layer for layer in model.layers if isinstance(layer, kinds)]
