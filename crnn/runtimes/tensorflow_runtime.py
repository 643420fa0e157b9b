"""TensorFlow: a Keras model called as a ``tf.function`` or in another mode."""

import os
from collections.abc import Mapping
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

    def load(
        self, path: Path, device: str, *, mode: str = "function", interface: Mapping[str, Any] | None = None
    ) -> None:
        """See the base class.

        Args:
            path: the artifact.
            device: see the base class.
            mode: one of ``MODES``; ``function`` or ``xla`` for a user's model.
            interface: of a user's model, see ``base.Runtime.describes``.

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
        self.describes(interface)
        if interface is not None:
            self._serve = self._given(path, mode)
            return
        self._model = keras_file.load(path)
        self._serve = {
            "function": keras_crnn.serving_function(self._model),
            "xla": keras_crnn.serving_function(self._model, jit_compile=True),
            "predict": self._predicted,
            "eager": self._eager,
        }[mode]

    def _given(self, path: Path, mode: str) -> Any:
        """The function of a user's model: images and field -> its output."""
        from crnn.formats import keras_file

        if mode not in ("function", "xla"):
            raise ValueError(f"mode {mode!r}: a user's model is run as function or xla")
        model = keras_file.load_any(path)
        names = [end.name for end in keras_file.ends_of(model).inputs]
        shapes = self.interface.shapes(1)
        serve = self._tf.function(
            lambda *inputs: keras_file.called(model, inputs),
            input_signature=[self._tf.TensorSpec((None, *shapes[name][1:]), self.interface.dtype) for name in names],
            jit_compile=mode == "xla",
            autograph=False,
        )

        def run(images: np.ndarray, field: np.ndarray) -> Any:
            inputs = self.interface.inputs(images, field)
            return serve(*(inputs[name] for name in names))

        return run

    def _predicted(self, images: np.ndarray, field: np.ndarray) -> Any:
        # (B, H, W) -> (B, H, W, 1)
        logits = self._model.predict([images[..., None], field], batch_size=len(images), verbose=0)
        return self._tf.nn.log_softmax(logits)

    def _eager(self, images: np.ndarray, field: np.ndarray) -> Any:
        # (B, H, W) -> (B, H, W, 1)
        return self._tf.nn.log_softmax(self._model([images[..., None], field], training=False))

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class; ``numpy()`` waits for the device."""
        return self.interface.log_probs(self._serve(images, field).numpy())

    def describe(self) -> dict[str, str]:
        """See the base class."""
        device = self._devices[0].name if self._devices else "cpu"
        return {"engine": f"TensorFlow {self._tf.__version__}", "device": device}
