"""The anchor of TensorFlow."""

import os
from pathlib import Path

import numpy as np

from crnn.runtimes.anchors import Anchor

_CHANNELS, _POOLS = (32, 64, 64, 128, 256), ((2, 2), (2, 1), (2, 2), (2, 2), (2, 1))
_HEIGHT, _WIDTH, _STEPS, _FIELD, _UNITS, _CLASSES = 32, 400, 50, 2, 256, 46


class Runtime(Anchor):
    """Five convolution blocks, two LSTMs and a dense layer, as a ``tf.function``."""

    requires = ("tensorflow", "tf_keras")

    def load(self, path: Path, device: str) -> None:
        """See the base class; reads no file."""
        if device == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf
        import tf_keras as keras

        if self.threads:
            tf.config.threading.set_intra_op_parallelism_threads(self.threads)
            tf.config.threading.set_inter_op_parallelism_threads(self.threads)
        self._tf = tf
        tf.random.set_seed(1)
        images, field = keras.Input((_HEIGHT, _WIDTH, 1)), keras.Input((_STEPS, _FIELD))
        columns = images
        for channels, pool in zip(_CHANNELS, _POOLS, strict=True):
            columns = keras.layers.Conv2D(channels, 3, padding="same")(columns)
            columns = keras.layers.LeakyReLU(0.1)(columns)
            columns = keras.layers.MaxPooling2D(pool)(keras.layers.BatchNormalization()(columns))
        # (B, 1, 50, F) -> (B, 50, F), the field joined: (B, 50, F + 2)
        steps = keras.layers.Reshape((_STEPS, _CHANNELS[-1]))(columns)
        steps = keras.layers.Concatenate()([steps, field])
        for _ in range(2):
            steps = keras.layers.LSTM(_UNITS, return_sequences=True)(steps)
        model = keras.Model([images, field], keras.layers.Dense(_CLASSES)(steps))
        shapes = ((None, _HEIGHT, _WIDTH), (None, _STEPS, _FIELD))
        self._serve = tf.function(
            lambda lines, kinds: tf.nn.log_softmax(model([lines[..., None], kinds], training=False)),
            input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes],
        )

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        return self._serve(images, field).numpy()

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"TensorFlow {self._tf.__version__}", "device": "default"}
