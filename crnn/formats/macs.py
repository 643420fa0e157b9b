"""Multiply-adds of one line, counted on the model that is run; PyTorch's loads only where its config fits.

Convolutions, LSTM gates and linear layers count; element-wise work does not.
"""

import itertools
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crnn.models.config import CRNNConfig

if TYPE_CHECKING:
    import onnx
    import tf_keras as keras

_COUNTED = {"Conv", "LSTM", "MatMul", "Gemm"}


def lstm_multiply_adds(steps: int, inputs: int, units: int) -> int:
    """Of one LSTM layer: four gates, each fed by the input and by the hidden state."""
    return steps * 4 * units * (inputs + units)


def of_config(config: CRNNConfig) -> int:
    """Multiply-adds for one line of a CRNN, which its config determines."""
    total, height, width = 0, config.height, config.width
    for (inputs, outputs), pool in zip(itertools.pairwise((1, *config.channels)), config.pools, strict=True):
        total += height * width * 9 * inputs * outputs
        height, width = height // pool[0], width // pool[1]
    features = (config.channels[-1] + config.field_features, *config.lstm_units)
    for inputs, units in itertools.pairwise(features):
        total += lstm_multiply_adds(config.time_steps, inputs, units)
    return total + config.time_steps * features[-1] * config.classes


def of_keras(model: "keras.Model") -> int:
    """Multiply-adds for one line of a Keras model, from its layers' shapes."""
    from crnn.models.keras_crnn import keras

    total = 0
    for layer in model.layers:
        match layer:
            case keras.layers.Conv2D():
                total += prod(layer.output_shape[1:]) * prod(layer.kernel_size) * layer.input_shape[-1]
            case keras.layers.Dense():
                total += prod(layer.output_shape[1:]) * layer.input_shape[-1]
            case keras.layers.LSTM():
                total += lstm_multiply_adds(layer.input_shape[1], layer.input_shape[2], layer.units)
    return total


def _shapes(model: "onnx.ModelProto") -> dict[str, tuple[int, ...]]:
    """Shapes at batch 1 of all that enters or leaves a counted node, seen by running the graph.

    Shape inference gives up at reshapes whose target is computed.
    """
    import onnx
    import onnxruntime

    counted = [node for node in model.graph.node if node.op_type in _COUNTED]
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    given = shapes.keys() | {value.name for value in (*model.graph.input, *model.graph.output)}
    wanted = {name for node in counted for name in (*node.input[:2], node.output[0])} - given
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(wanted))
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    line = {value.name: np.zeros((1, *value.shape[1:]), np.float32) for value in session.get_inputs()}
    shapes |= {name: array.shape for name, array in line.items()}
    names = [value.name for value in session.get_outputs()]
    return shapes | {name: array.shape for name, array in zip(names, session.run(names, line), strict=True)}


def of_onnx(path: Path) -> int:
    """Multiply-adds for one line of an ONNX graph, from the shapes of a run of it."""
    import onnx

    model = onnx.load(path)
    shapes = _shapes(model)
    total = 0
    for node in model.graph.node:
        if node.op_type not in _COUNTED:
            continue
        inputs, output = [shapes[name] for name in node.input[:2]], shapes[node.output[0]]
        match node.op_type:
            case "Conv":
                total += prod(output) * prod(inputs[1][1:])
            case "LSTM":  # X (T, B, I), W (directions, 4H, I)
                units = inputs[1][1] // 4
                total += inputs[1][0] * lstm_multiply_adds(inputs[0][0], inputs[0][2], units)
            case "MatMul":
                total += prod(inputs[0]) * inputs[1][-1]
            case "Gemm":
                transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
                total += prod(inputs[0]) * inputs[1][0 if transposed else 1]
    return total


def onnx_parameters(path: Path) -> Iterator[np.ndarray]:
    """Tensors that an ONNX graph stores, quantized ones too; shapes, axes and scalars are no parameters."""
    import onnx

    graph = onnx.load(path).graph
    dequantized = {node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    # Wide integers are shapes and axes, but for the biases of quantized layers.
    wide = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
    for tensor in graph.initializer:
        if prod(tensor.dims) > 1 and (tensor.data_type not in wide or tensor.name in dequantized):
            yield onnx.numpy_helper.to_array(tensor)
