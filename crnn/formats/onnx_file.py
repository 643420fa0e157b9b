"""``.onnx`` files: count parameters and MACs."""

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from crnn.formats.counts import lstm_macs
from crnn.formats.ends import Ends, Tensor
from crnn.interface import BUILT_IN, Interface

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


def _graph(path: Path) -> onnx.GraphProto:
    try:
        return onnx.load(path, load_external_data=False).graph
    except DecodeError as error:
        raise ValueError(f"{path} is truncated, or not an ONNX file: {error}") from None


def beside(path: Path) -> list[Path]:
    """The files with its weights ("external data"): PyTorch's exporter writes ``NAME.onnx.data`` beside it.

    Raises:
        ValueError: it is not an ONNX file, or truncated.
    """
    stored = [tensor for tensor in _graph(path).initializer if uses_external_data(tensor)]
    return [path.parent / name for name in sorted({ExternalDataInfo(tensor).location for tensor in stored})]


def ends(path: Path) -> Ends:
    """Inputs and outputs.

    Raises:
        ValueError: it is not an ONNX file, or truncated.
    """
    graph = _graph(path)
    stored = {tensor.name for tensor in graph.initializer}
    return Ends([_tensor(one) for one in graph.input if one.name not in stored], [_tensor(one) for one in graph.output])


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    return Tensor(value.name, tuple(dim.dim_value for dim in kind.shape.dim), dtype.name)


def _shapes(model: onnx.ModelProto, interface: Interface) -> dict[str, tuple[int, ...]]:
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
    line = {name: np.zeros(shape, np.float32) for name, shape in interface.shapes(1).items()}
    line[interface.images] = line[interface.images].astype(interface.dtype)
    shapes |= {name: array.shape for name, array in line.items()}
    names = [value.name for value in session.get_outputs()]
    return shapes | {name: array.shape for name, array in zip(names, session.run(names, line), strict=True)}


def macs(path: Path, interface: Interface = BUILT_IN) -> int:
    """MACs for one line, from the shapes of a run of the graph."""
    model = onnx.load(path)
    shapes = _shapes(model, interface)
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
