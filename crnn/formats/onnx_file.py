"""``.onnx`` files: count parameters and MACs."""

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from crnn.formats.counts import lstm_macs

_COUNTED = {"Conv", "ConvInteger", "LSTM", "DynamicQuantizeLSTM", "MatMul", "MatMulInteger", "Gemm"}
# Integers this wide are shapes and axes, except the biases of quantized layers.
_WIDE = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)


def parameters(path: Path) -> Iterator[np.ndarray]:
    """The tensors that the graph stores, quantized ones too; shapes, axes and scalars are not parameters."""
    graph = onnx.load(path).graph
    dequantized = {node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    for tensor in graph.initializer:
        if prod(tensor.dims) > 1 and (tensor.data_type not in _WIDE or tensor.name in dequantized):
            yield onnx.numpy_helper.to_array(tensor)


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shapes at batch 1 of the inputs and outputs of all counted nodes, from a run of the graph.

    Shape inference fails at reshapes whose target is computed.
    """
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


def macs(path: Path) -> int:
    """MACs for one line, from the shapes of a run of the graph."""
    model = onnx.load(path)
    shapes = _shapes(model)
    total = 0
    for node in model.graph.node:
        if node.op_type not in _COUNTED:
            continue
        inputs, output = [shapes[name] for name in node.input[:2]], shapes[node.output[0]]
        match node.op_type:
            case "Conv" | "ConvInteger":
                total += prod(output) * prod(inputs[1][1:])
            case "LSTM":  # X (T, B, I), W (directions, 4H, I)
                units = inputs[1][1] // 4
                total += inputs[1][0] * lstm_macs(inputs[0][0], inputs[0][2], units)
            case "DynamicQuantizeLSTM":  # its quantized weights are transposed: W (directions, I, 4H)
                units = inputs[1][2] // 4
                total += inputs[1][0] * lstm_macs(inputs[0][0], inputs[0][2], units)
            case "MatMul" | "MatMulInteger":
                total += prod(inputs[0]) * inputs[1][-1]
            case "Gemm":
                transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
                total += prod(inputs[0]) * inputs[1][0 if transposed else 1]
    return total
