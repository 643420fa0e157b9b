"""Conversion to LiteRT, in float or quantized after training.

The converter needs a fixed batch size, or the LSTMs do not become one operator each. It is
run at one size; the file holds a copy of the graph for each size that is wanted, all with
the same weights and scales, which are stored once.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn.corpus.lines import Lines, model_inputs
from crnn.optimize.recipe import Build, RecipeError

if TYPE_CHECKING:
    from crnn.formats.tflite_file import schema
    from crnn.models.keras_crnn import keras

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
"""What a file is converted for by default."""

QUANTIZATIONS = ("none", "float16", "dynamic", "static")
_CALIBRATION_LINES = 256
# What the converter is run at. Not one, which is the length of other dimensions too.
_CONVERTED_AT = 2


def calibration_lines(lines: Lines, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs for some of the lines, evenly spread: images (N, 32, 400) and field (N, 50, 2).

    Raises:
        RecipeError: no line is to be seen.
    """
    count = min(count, len(lines))
    if count < 1:
        raise RecipeError(f"calibration takes at least one line, not {count}")
    rows = np.linspace(0, len(lines) - 1, count).astype(int)
    return model_inputs(lines.images[rows], lines.kinds[rows])


def left_by_converter(
    model: "keras.Model", quantization: str = "none", representative: Sequence[np.ndarray] | None = None
) -> "schema.ModelT":
    """The model for one batch size as TensorFlow's converter makes it: images and field in, logits out.

    Args:
        model: any Keras model with the CRNN's ends; one trained for quantization is converted with its scales.
        quantization: ``none``; ``float16``, stored so and computed in float32; ``dynamic``,
            int8 weights with activations quantized in each call.
        representative: images (N, 32, 400) and field (N, 50, 2); with these and ``dynamic``
            all of the graph that can be is int8, with activations' scales from them.
    """
    from crnn.formats import tflite_file
    from crnn.models.keras_crnn import tf

    height, width, _ = model.inputs[0].shape[1:]
    signature = [
        tf.TensorSpec((_CONVERTED_AT, height, width), tf.float32, "images"),
        tf.TensorSpec((_CONVERTED_AT, *model.inputs[1].shape[1:]), tf.float32, "field"),
    ]

    @tf.function(input_signature=signature, autograph=False)
    def logits(images: "tf.Tensor", field: "tf.Tensor") -> "dict[str, tf.Tensor]":
        # (B, 32, 400) -> (B, 32, 400, 1)
        return {"logits": model([images[..., None], field], training=False)}

    # Of the model the converter needs the variables; saving its layers too would take most of the time.
    weights = tf.Module()
    weights.held = list(model.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([logits.get_concrete_function()], weights)
    if quantization != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if representative is not None:
        starts = range(0, len(representative[0]) - _CONVERTED_AT + 1, _CONVERTED_AT)
        # The converter's inputs are in the order of their names.
        inputs = {"field": representative[1], "images": representative[0]}
        converter.representative_dataset = lambda: (
            [array[start : start + _CONVERTED_AT] for array in inputs.values()] for start in starts
        )
    return tflite_file.read(converter.convert())


def converted(model: "keras.Model", quantization: str = "none") -> "schema.ModelT":
    """The model for one batch size, images and field in, log probabilities out; the arguments are as above."""
    from crnn.formats import tflite_graph

    result = left_by_converter(model, quantization)
    tflite_graph.mend_lstms(result)
    tflite_graph.append_log_softmax(result)
    return result


def statically_quantized(model: "keras.Model", images: np.ndarray, field: np.ndarray) -> "schema.ModelT":
    """The model for one batch size with convolutions in int8, scales of activations from the lines given.

    LSTMs read floats, their weights are stored in int8. (The converter's own full-integer
    quantization loses more than any other way, see ``benchmarks/evidence/conversions.py``.)
    """
    from crnn.formats import tflite_graph
    from crnn.optimize import keras_qat

    calibrated = keras_qat.quantization_aware(model)
    # (N, 32, 400) -> (N, 32, 400, 1)
    keras_qat.set_ranges(calibrated, model, (images[..., None], field))
    result = converted(calibrated, "dynamic")
    tflite_graph.quantize_lstm_weights(result)
    return result


def for_batch_sizes(model: "schema.ModelT", sizes: Sequence[int]) -> bytes:
    """The file for several batch sizes, from what ``converted`` gives."""
    from crnn.formats import tflite_file, tflite_graph

    models = {size: deepcopy(model) for size in sizes}
    for size, copy in models.items():
        tflite_file.resize(copy, size)
        tflite_graph.make_time_major(copy)
    return tflite_file.written(tflite_file.merged(models))


def check_batch_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """The sizes without repetition.

    Raises:
        RecipeError: there is none, or one is below 1.
    """
    if not sizes or min(sizes) < 1:
        raise RecipeError(f"batch sizes have to be at least 1: {', '.join(map(str, sizes)) or 'none is given'}")
    return tuple(sorted(set(sizes)))


def convert(build: Build) -> dict[str, Any]:
    """Convert the parent, quantized as the option ``quantization`` says, for each of ``batch_sizes``.

    ``calibration_lines`` of the validation split give the scales of ``static``.

    Raises:
        RecipeError: an unknown quantization or impossible batch size, no line to calibrate
            with, or the parent reads another alphabet.
    """
    quantization = build.options.get("quantization", "none")
    if quantization not in QUANTIZATIONS:
        raise RecipeError(f"no quantization {quantization!r}; there are: {', '.join(QUANTIZATIONS)}")
    sizes = check_batch_sizes(build.options.get("batch_sizes", BATCH_SIZES))
    seen = None
    if quantization == "static":
        count = build.options.get("calibration_lines", _CALIBRATION_LINES)
        seen = calibration_lines(build.corpus.validation, count)
    parent = build.teacher

    from crnn.models import keras_crnn

    model = keras_crnn.load(parent)
    result = statically_quantized(model, *seen) if seen else converted(model, quantization)
    build.target.write_bytes(for_batch_sizes(result, sizes))
    return {"quantization": quantization, "batch_sizes": list(sizes)}
