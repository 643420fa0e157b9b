"""The Keras CRNN with tfmot's fake quantization in its convolutions and its classifier.

tfmot has no rule for LSTMs: they stay float.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot

from crnn.models.keras_crnn import keras

_qat = tfmot.quantization.keras
_Config: Any = _qat.QuantizeConfig


class OutputQuantized(_Config):
    """Quantizes only the layer's output: for a BatchNorm whose output a convolution reads in int8."""

    def get_weights_and_quantizers(self, layer: keras.layers.Layer) -> list[Any]:
        """No weights."""
        return []

    def get_activations_and_quantizers(self, layer: keras.layers.Layer) -> list[Any]:
        """No inner activations."""
        return []

    def set_quantize_weights(self, layer: keras.layers.Layer, quantize_weights: list[Any]) -> None:
        """Set nothing: no weights are quantized."""

    def set_quantize_activations(self, layer: keras.layers.Layer, quantize_activations: list[Any]) -> None:
        """Set nothing: no inner activations are quantized."""

    def get_output_quantizers(self, layer: keras.layers.Layer) -> list[Any]:
        """The output in eight bits, asymmetric."""
        return [_qat.quantizers.MovingAverageQuantizer(8, per_axis=False, symmetric=False, narrow_range=False)]

    def get_config(self) -> dict[str, Any]:
        """No settings."""
        return {}


class WeightsQuantized(OutputQuantized):
    """Quantizes only the kernel: for the classifier, because logits in eight bits would not give a distribution."""

    def get_weights_and_quantizers(self, layer: keras.layers.Layer) -> list[Any]:
        """The kernel in eight bits, symmetric."""
        quantizer = _qat.quantizers.LastValueQuantizer(8, per_axis=False, symmetric=True, narrow_range=True)
        return [(layer.kernel, quantizer)]

    def set_quantize_weights(self, layer: keras.layers.Layer, quantize_weights: list[Any]) -> None:
        """Set the kernel."""
        layer.kernel = quantize_weights[0]

    def get_output_quantizers(self, layer: keras.layers.Layer) -> list[Any]:
        """No output."""
        return []


def quantization_aware(
    model: keras.Model, preserve: bool = False, kinds: Sequence[str] = ("Conv2D", "Dense")
) -> keras.Model:
    """A copy with fake quantization; ``set_ranges`` has to set its scales.

    Args:
        model: not changed.
        preserve: whether to keep zeros and shared values of the convolutions (tfmot's PCQAT); LSTMs
            and classifier are then frozen in float, because tfmot would not keep theirs.
        kinds: class names of the layers to quantize; only these two are supported.
    """
    layers = keras.layers

    def annotate(layer: keras.layers.Layer) -> keras.layers.Layer:
        copy = layer.__class__.from_config(layer.get_config())
        if isinstance(layer, layers.Conv2D) and "Conv2D" in kinds:
            return _qat.quantize_annotate_layer(copy)
        if isinstance(layer, layers.BatchNormalization) and "Conv2D" in kinds:
            return _qat.quantize_annotate_layer(copy, OutputQuantized())
        copy.trainable = not preserve
        if isinstance(layer, layers.Dense) and "Dense" in kinds and not preserve:
            return _qat.quantize_annotate_layer(copy, WeightsQuantized())
        return copy

    copy = keras.models.clone_model(model, clone_function=annotate)
    copy.set_weights(model.get_weights())
    with (
        keras.utils.custom_object_scope({"OutputQuantized": OutputQuantized, "WeightsQuantized": WeightsQuantized}),
        _qat.quantize_scope(),
    ):
        if not preserve:
            return _qat.quantize_apply(copy)
        combine = tfmot.experimental.combine
        return _qat.quantize_apply(copy, combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=True))


def set_ranges(model: keras.Model, source: keras.Model, inputs: Iterable[np.ndarray]) -> None:
    """Set the ranges of activations from the float model's outputs, and those of kernels from their weights.

    tfmot starts each range at -6 to 6. In training it moves the ranges of activations by a
    thousandth of the difference per step.

    Args:
        model: what ``quantization_aware`` returned; it is changed.
        source: the float model that it was made from.
        inputs: images (N, H, W, 1) and field (N, T, 2).
    """
    inner = {layer.layer.name: layer for layer in model.layers if hasattr(layer, "layer")}
    watched = [layer for layer in source.layers if layer.name in inner]
    outputs = keras.Model(source.inputs, [layer.output for layer in watched]).predict(list(inputs), verbose=0)
    for layer, output in zip(watched, outputs, strict=True):
        for variable in inner[layer.name].weights:
            kind = variable.name.rsplit("/")[-1]
            if kind.startswith(("post_activation_min", "output_min")):
                variable.assign(min(float(output.min()), 0.0))
            elif kind.startswith(("post_activation_max", "output_max")):
                variable.assign(max(float(output.max()), 0.0))
            elif kind.startswith(("kernel_min", "kernel_max")):
                # Symmetric, per output channel or for the whole kernel.
                kernel = np.abs(layer.kernel.numpy())
                largest = kernel.max(tuple(range(kernel.ndim - 1)) if variable.shape.rank else None)
                variable.assign(largest if kind.startswith("kernel_max") else -largest)
    for layer in model.layers:
        for variable in layer.weights if layer.__class__.__name__ == "QuantizeLayer" else ():
            if "_min" in variable.name:
                variable.assign(0.0)
            elif "_max" in variable.name:
                variable.assign(1.0)


def stripped(model: keras.Model) -> keras.Model:
    """The trained model without the clustering wrappers; its scales stay."""
    return tfmot.experimental.combine.strip_clustering_cqat(model)
