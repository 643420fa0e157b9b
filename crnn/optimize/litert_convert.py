"""Conversion to LiteRT, in float or quantized after training.

The converter only fuses each LSTM into one operator if the batch size is fixed, so it runs at
one size. The file holds one copy of the graph per batch size. All copies share weights and
scales, which are stored once.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn.interface import Interface
from crnn.optimize.calibration import inputs_of
from crnn.optimize.recipe import Build, RecipeError

if TYPE_CHECKING:
    from crnn.formats.tflite_file import schema
    from crnn.models.keras_crnn import keras

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
"""Batch sizes that a file is converted for by default."""

QUANTIZATIONS = ("none", "float16", "dynamic", "static")
# Batch size that the converter runs at. Not 1: other dimensions have length 1 too.
_CONVERTED_AT = 2


def left_by_converter(
    model: "keras.Model", quantization: str = "none", representative: Sequence[np.ndarray] | None = None
) -> "schema.ModelT":
    """The model for one batch size as TensorFlow's converter writes it: images and field in, logits out.

    Args:
        model: any Keras model with the CRNN's inputs and outputs; fake quantization is converted with its scales.
        quantization: ``none``; ``float16``: weights stored in float16, computed in float32; ``dynamic``:
            int8 weights, activations quantized in each call.
        representative: calibration inputs, images (N, H, W) and field (N, T, 2); with these and
            ``dynamic`` every operator that can be is int8, with fixed activation scales.
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
        # (B, H, W) -> (B, H, W, 1)
        return {"logits": model([images[..., None], field], training=False)}

    # The converter only needs the model's variables; saving its layers too would take most of the time.
    weights = tf.Module()
    weights.held = list(model.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([logits.get_concrete_function()], weights)
    if quantization != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if representative is not None:
        starts = range(0, len(representative[0]) - _CONVERTED_AT + 1, _CONVERTED_AT)
        # The converter orders the inputs by name.
        inputs = {"field": representative[1], "images": representative[0]}
        converter.representative_dataset = lambda: (
            [array[start : start + _CONVERTED_AT] for array in inputs.values()] for start in starts
        )
    return tflite_file.read(converter.convert())


def convert_given(
    build: Build, *, interface: Mapping[str, Any], batch_sizes: Sequence[int] = BATCH_SIZES
) -> dict[str, Any]:
    """Convert a user's Keras model for each batch size; its LSTMs are corrected as the built-in ones are.

    Args:
        build: the artifact to build; the parent is a ``.keras`` file.
        interface: of the model, see ``Interface.of``.
        batch_sizes: lines per call that the file supports.

    Raises:
        RecipeError: batch size below 1.
    """
    sizes, takes = check_batch_sizes(batch_sizes), Interface.of(interface)

    from crnn.formats import keras_file, tflite_file, tflite_graph
    from crnn.models.keras_crnn import tf

    model = keras_file.load_any(build.source)
    shapes = takes.shapes(_CONVERTED_AT)
    names = [end.name for end in keras_file.ends_of(model).inputs]
    signature = [tf.TensorSpec(shapes[name], tf.float32, name) for name in names]

    @tf.function(input_signature=signature, autograph=False)
    def called(*inputs: "tf.Tensor") -> "dict[str, tf.Tensor]":
        return {takes.output: keras_file.called(model, inputs)}

    weights = tf.Module()
    weights.held = list(model.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([called.get_concrete_function()], weights)
    result = tflite_file.read(converter.convert())
    tflite_graph.mend_lstms(result)
    build.target.write_bytes(for_batch_sizes(result, sizes, time_major=False))
    return {"batch_sizes": list(sizes)}


def converted(model: "keras.Model", quantization: str = "none", *, mended: bool = True) -> "schema.ModelT":
    """The model for one batch size: images and field in, log probabilities out; see ``left_by_converter``.

    Args:
        model: see ``left_by_converter``.
        quantization: see ``left_by_converter``.
        mended: whether to correct the LSTMs, see ``tflite_graph.mend_lstms``.
    """
    from crnn.formats import tflite_graph

    result = left_by_converter(model, quantization)
    if mended:
        tflite_graph.mend_lstms(result)
    tflite_graph.append_log_softmax(result)
    return result


def statically_quantized(model: "keras.Model", images: np.ndarray, field: np.ndarray) -> "schema.ModelT":
    """The model for one batch size with convolutions in int8; the lines given set the activation scales.

    LSTMs read floats; their weights are stored in int8. The converter's own full-integer
    quantization costs more CER, see ``crnn/optimize/studies/conversions.py``.
    """
    from crnn.formats import tflite_graph
    from crnn.optimize import keras_qat

    calibrated = keras_qat.quantization_aware(model)
    # (N, H, W) -> (N, H, W, 1)
    keras_qat.set_ranges(calibrated, model, (images[..., None], field))
    result = converted(calibrated, "dynamic")
    tflite_graph.quantize_lstm_weights(result)
    return result


def for_batch_sizes(model: "schema.ModelT", sizes: Sequence[int], *, time_major: bool = True) -> bytes:
    """The content of the file for several batch sizes.

    Args:
        model: what ``converted`` returns.
        sizes: lines per call.
        time_major: whether to put time steps first in float LSTMs, see ``tflite_graph.make_time_major``.
    """
    from crnn.formats import tflite_file, tflite_graph

    models = {size: deepcopy(model) for size in sizes}
    for size, copy in models.items():
        tflite_file.resize(copy, size)
        if time_major:
            tflite_graph.make_time_major(copy)
    return tflite_file.written(tflite_file.merged(models))


def check_batch_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """The sizes in ascending order, without duplicates.

    Raises:
        RecipeError: no size is given, or one is below 1.
    """
    if not sizes or min(sizes) < 1:
        raise RecipeError(f"batch sizes have to be at least 1: {', '.join(map(str, sizes)) or 'none is given'}")
    return tuple(sorted(set(sizes)))


def convert(
    build: Build,
    *,
    quantization: str = "none",
    as_converted: bool = False,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    calibration_lines: int = 256,
) -> dict[str, Any]:
    """Convert the parent for each batch size.

    Args:
        build: the artifact to build.
        quantization: one of ``QUANTIZATIONS``.
        as_converted: whether to keep the converter's own graph and only append a log softmax:
            cells stay clipped at 10, and LSTMs compute line by line. Only without quantization.
        batch_sizes: lines per call that the file supports.
        calibration_lines: number of validation lines that set the scales of ``static``.

    Raises:
        RecipeError: unknown quantization, ``as_converted`` with a quantization, batch size below 1,
            no calibration line, or the parent has another alphabet.
    """
    if quantization not in QUANTIZATIONS:
        raise RecipeError(f"no quantization {quantization!r}; there are: {', '.join(QUANTIZATIONS)}")
    if as_converted and quantization != "none":
        # Quantized graphs depend on the edits: only with them can they be resized or calibrated.
        raise RecipeError(f"as_converted needs quantization 'none', not {quantization!r}")
    sizes = check_batch_sizes(batch_sizes)
    seen = None
    if quantization == "static":
        seen = inputs_of(build.corpus.validation, calibration_lines)
    parent = build.teacher

    from crnn.formats import keras_file

    model = keras_file.load(parent)
    result = statically_quantized(model, *seen) if seen else converted(model, quantization, mended=not as_converted)
    build.target.write_bytes(for_batch_sizes(result, sizes, time_major=not as_converted))
    return {"quantization": quantization, "batch_sizes": list(sizes)}
