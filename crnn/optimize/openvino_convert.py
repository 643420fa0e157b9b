"""Conversion to OpenVINO, in float or quantized to int8 after training by NNCF."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn.optimize import onnx_convert
from crnn.optimize.calibration import inputs_of
from crnn.optimize.recipe import Build

if TYPE_CHECKING:
    import openvino

# Lines per batch while the activations' ranges are collected.
_BATCH = 16
# Nodes that move values and change none.
_LAYOUT = ("Concat", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def model_of(source: Path) -> "openvino.Model":
    """A ``.pt`` file, or an ``.onnx`` file, as OpenVINO's model.

    Constants are folded: the exporter reorders the gates of LSTM weights in the graph, and NNCF only quantizes
    weights that are constants.
    """
    from openvino.passes import ConstantFolding, Manager

    from crnn.formats.openvino_file import openvino

    with TemporaryDirectory() as folder:
        model = openvino.Core().read_model(onnx_convert.exported(source, Path(folder)))
        manager = Manager()
        manager.register_pass(ConstantFolding())
        manager.run_passes(model)
    return model


def convert(build: Build) -> dict[str, Any]:
    """Convert the parent, a ``.pt`` or an ``.onnx`` file, as it is."""
    from crnn.formats import openvino_file

    openvino_file.write(model_of(build.source), build.target)
    return {}


def quantize(build: Build, *, calibration_lines: int = 256) -> dict[str, Any]:
    """Convert the parent and quantize convolutions and classifier to int8, and the weights of all LSTMs but the first.

    Weights have a scale per channel; scales of activations come from validation lines. Why the first LSTM stays
    float: see ``_leave_float``.

    Args:
        build: the artifact to build.
        calibration_lines: number of lines that set the scales of activations.

    Raises:
        RecipeError: no calibration line, or the parent has another alphabet.
        CorpusError: the corpus has no validation line.
    """
    parent = build.teacher
    lines = inputs_of(build.corpus.validation, calibration_lines)

    from crnn.formats import openvino_file

    openvino_file.write(quantized(model_of(parent), lines), build.target)
    return {"calibration_lines": len(lines[0])}


def quantized(
    model: "openvino.Model", lines: tuple[np.ndarray, np.ndarray], *, float_lstms: int = 1, symmetric: bool = False
) -> "openvino.Model":
    """A model in int8.

    Args:
        model: in float, with constants folded.
        lines: calibration inputs, images (N, 32, 400) and field (N, 50, 2).
        float_lstms: number of LSTMs that stay float, the first ones.
        symmetric: whether scales of activations are symmetric. They waste levels: LeakyReLU leaves little below zero.
    """
    # Before NNCF: it switches telemetry off.
    from crnn.formats import openvino_file  # noqa: F401 isort: skip
    import nncf

    images, field = lines
    batches = [
        {"images": images[start : start + _BATCH], "field": field[start : start + _BATCH]}
        for start in range(0, len(images), _BATCH)
    ]
    settings = nncf.AdvancedQuantizationParameters(
        # Without VNNI two products are summed in 16 bits: weights of 7 bits do not overflow there.
        overflow_fix=nncf.OverflowFix.ENABLE
    )
    found = nncf.quantize(
        model,
        nncf.Dataset(batches),
        preset=nncf.QuantizationPreset.PERFORMANCE if symmetric else nncf.QuantizationPreset.MIXED,
        subset_size=len(batches),
        advanced_parameters=settings,
    )
    lstms = [node for node in found.get_ordered_ops() if node.get_type_name() == "LSTMSequence"]
    for node in lstms[:float_lstms]:
        _leave_float(node)
    return found


def _leave_float(lstm: "openvino.Node") -> None:
    """Remove the quantization of an LSTM; its weights are stored in float16, and OpenVINO computes in float32.

    oneDNN's int8 LSTM has one scale for its input and its hidden state. A hidden state is at most 1, the features of
    the convolutions reach 40: with their scale, if it is symmetric, it has 7 levels. The input of every other LSTM is
    a hidden state. (With asymmetric scales OpenVINO computes no LSTM in int8, see ``studies/openvino_int8.py``.)
    """
    from openvino import opset13 as ops

    waiting = [lstm.input(0), lstm.input(1)]
    while waiting:
        reader = waiting.pop()
        source = reader.get_source_output().get_node()
        if source.get_type_name() == "FakeQuantize":
            reader.replace_source_output(source.input_value(0))
        elif source.get_type_name() in _LAYOUT:
            waiting += source.inputs() if source.get_type_name() == "Concat" else source.inputs()[:1]
    for reader in (lstm.input(4), lstm.input(5)):
        # Multiply(Convert(int8), scale)
        product = reader.get_source_output().get_node()
        levels, scales = product.input_value(0).get_node().input_value(0).get_node(), product.input_value(1).get_node()
        weights = ops.constant((levels.data.astype(np.float32) * scales.data).astype(np.float16))
        reader.replace_source_output(ops.convert(weights, "f32").output(0))
