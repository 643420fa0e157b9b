"""TensorFlow: a Keras model called as a ``tf.function`` or in another mode."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from crnn.runtimes import base

MODES = ("function", "xla", "predict", "eager")


class Runtime(base.Runtime):
    """Runs a ``.keras`` artifact.

    Modes: ``function``: one graph, traced once for any batch size. ``xla``: the same, compiled in
    the first call at each batch size. ``predict``: ``Model.predict``, which builds a data set
    from each batch. ``eager``: operator by operator.
    """

    requires = ("tensorflow", "tf_keras")
    distributions = ("tensorflow", "tf_keras")
    anchor = "crnn.runtimes.anchors.tensorflow_anchor"

    def load(self, path: Path, device: str, *, mode: str = "function") -> None:
        """See the base class.

        Args:
            path: the artifact.
            device: see the base class.
            mode: one of ``MODES``.

        Raises:
            RuntimeError: CUDA is requested, but there is no CUDA device.
            ValueError: an unknown mode, or a file that Keras cannot read.
        """
        if mode not in MODES:
            raise ValueError(f"no mode {mode!r}; there are: {', '.join(MODES)}")
        if device == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        from crnn.formats import keras_file
        from crnn.models import keras_crnn

        self._tf = keras_crnn.tf
        if self.threads:
            self._tf.config.threading.set_intra_op_parallelism_threads(self.threads)
            self._tf.config.threading.set_inter_op_parallelism_threads(self.threads)
        self._devices = self._tf.config.list_physical_devices("GPU")
        if device == "cuda" and not self._devices:
            raise RuntimeError("--device cuda: TensorFlow finds no CUDA device")
        self._model = keras_file.load(path)
        self._serve = {
            "function": keras_crnn.serving_function(self._model),
            "xla": keras_crnn.serving_function(self._model, jit_compile=True),
            "predict": self._predicted,
            "eager": self._eager,
        }[mode]

    def _predicted(self, images: np.ndarray, field: np.ndarray) -> Any:
        # (B, 32, 400) -> (B, 32, 400, 1)
        logits = self._model.predict([images[..., None], field], batch_size=len(images), verbose=0)
        return self._tf.nn.log_softmax(logits)

    def _eager(self, images: np.ndarray, field: np.ndarray) -> Any:
        # (B, 32, 400) -> (B, 32, 400, 1)
        return self._tf.nn.log_softmax(self._model([images[..., None], field], training=False))

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class; ``numpy()`` waits for the device."""
        return self._serve(images, field).numpy()

    def describe(self) -> dict[str, str]:
        """See the base class."""
        device = self._devices[0].name if self._devices else "cpu"
        return {"engine": f"TensorFlow {self._tf.__version__}", "device": device}
