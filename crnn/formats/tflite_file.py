"""``.tflite`` files: read, write, combine batch sizes, count parameters and MACs.

Names follow the flatbuffer schema.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from math import prod
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from crnn.formats.counts import lstm_macs
from crnn.formats.ends import Ends, Tensor

Operator = schema.BuiltinOperator
_IDENTIFIER = b"TFL3"
TIME_MAJOR = b"time_major"
"""Name of the tensors whose first axis is time."""
_TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32,
}
# Positions of the inputs that may be stored weights; other inputs are activations, shapes and states.
_STORED: Mapping[int, range] = {
    Operator.CONV_2D: range(1, 3),
    Operator.DEPTHWISE_CONV_2D: range(1, 3),
    Operator.FULLY_CONNECTED: range(1, 3),
    Operator.UNIDIRECTIONAL_SEQUENCE_LSTM: range(1, 18),
    Operator.MUL: range(2),
    Operator.ADD: range(2),
}


def read(content: bytes) -> schema.ModelT:
    """The content of a ``.tflite`` file.

    Raises:
        ValueError: it is not a ``.tflite`` file.
    """
    if content[4:8] != _IDENTIFIER:
        raise ValueError("not a LiteRT file: its identifier is missing")
    return schema.ModelT.InitFromPackedBuf(bytearray(content), 0)


def ends(path: Path) -> Ends:
    """Inputs and outputs of a user's file; the batch size is open: the engine sets it.

    Raises:
        ValueError: LiteRT cannot read it.
    """
    read(path.read_bytes())
    found = Interpreter(model_path=str(path))
    return Ends(*(list(map(_end, details)) for details in (found.get_input_details(), found.get_output_details())))


def _end(details: Mapping[str, Any]) -> Tensor:
    sizes = (max(int(size), 0) for size in details["shape_signature"][1:])
    return Tensor(details["name"], (0, *sizes), np.dtype(details["dtype"]).name)


def has_sizes(model: schema.ModelT) -> bool:
    """Whether it is a file of this project: a graph per batch size."""
    keys = [signature.signatureKey for signature in model.signatureDefs]
    return bool(keys) and all(key.startswith(b"batch_") for key in keys)


def written(model: schema.ModelT) -> bytes:
    """The content of a ``.tflite`` file; the inverse of ``read``."""
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _signature_key(batch_size: int) -> bytes:
    return f"batch_{batch_size}".encode()


def batch_sizes(model: schema.ModelT) -> list[int]:
    """The batch sizes that the file was converted for, ascending."""
    return sorted(int(signature.signatureKey.removeprefix(b"batch_")) for signature in model.signatureDefs)


def _constants(model: schema.ModelT, subgraph: schema.SubGraphT) -> set[int]:
    """Indices of the tensors that are stored, or stored in float16 and widened."""
    stored = {index for index, tensor in enumerate(subgraph.tensors) if model.buffers[tensor.buffer].data is not None}
    widened = (op for op in subgraph.operators if code_of(model, op) == Operator.DEQUANTIZE)
    return stored | {op.outputs[0] for op in widened if op.inputs[0] in stored}


def resize(model: schema.ModelT, batch_size: int) -> None:
    """Change a model's batch size in place: activations, LSTM states, targets of reshapes.

    The old size must be at least 2: other dimensions have length 1 too.
    """
    [subgraph] = model.subgraphs
    old = int(subgraph.tensors[subgraph.outputs[0]].shape[0])
    constants = _constants(model, subgraph)
    for index, tensor in enumerate(subgraph.tensors):
        # (B, ...), or (T, B, F) inside time-major LSTMs
        axis = int(tensor.name == TIME_MAJOR)
        if index not in constants and len(tensor.shape) > axis and tensor.shape[axis] == old:
            tensor.shape = [*tensor.shape[:axis], batch_size, *tensor.shape[axis + 1 :]]
    for operator in subgraph.operators:
        if code_of(model, operator) not in (Operator.RESHAPE, Operator.STRIDED_SLICE):
            continue
        if getattr(operator.builtinOptions, "newShape", None) is not None:
            operator.builtinOptions.newShape = None  # the second input holds it too
        for index in operator.inputs[1:]:
            target = array_of(model, subgraph.tensors[index]).copy()
            if target[0] == old:
                target[0] = batch_size
                buffer = schema.BufferT()
                buffer.data = target.view(np.uint8)
                model.buffers.append(buffer)
                subgraph.tensors[index].buffer = len(model.buffers) - 1


def merged(models: Mapping[int, schema.ModelT]) -> schema.ModelT:
    """Combine models of one batch size each, with one signature per size; equal weights are stored once.

    The models are changed: do not use them afterwards.
    """
    whole = schema.ModelT()
    whole.version, whole.description = 3, b"CRNN"
    whole.operatorCodes, whole.subgraphs, whole.signatureDefs = [], [], []
    whole.buffers, known = [schema.BufferT()], {b"": 0}
    for size, model in models.items():
        [subgraph], [signature] = model.subgraphs, model.signatureDefs
        for tensor in subgraph.tensors:
            data = model.buffers[tensor.buffer].data
            content = b"" if data is None else bytes(data)
            if content not in known:
                known[content] = len(whole.buffers)
                whole.buffers.append(model.buffers[tensor.buffer])
            tensor.buffer = known[content]
        for operator in subgraph.operators:
            operator.opcodeIndex += len(whole.operatorCodes)
        whole.operatorCodes += model.operatorCodes
        signature.signatureKey, signature.subgraphIndex = _signature_key(size), len(whole.subgraphs)
        whole.subgraphs.append(subgraph)
        whole.signatureDefs.append(signature)
    return whole


def for_sizes(content: bytes, sizes: Sequence[int]) -> bytes:
    """The file for other batch sizes, made from its own graph for the smallest size above 1.

    Raises:
        ValueError: it is not a ``.tflite`` file, or has no batch size above 1.
    """
    model = read(content)
    if not (known := [size for size in batch_sizes(model) if size > 1]):
        raise ValueError("the file has only a graph for 1 line: other sizes cannot be derived from it")
    signature = next(one for one in model.signatureDefs if one.signatureKey == _signature_key(known[0]))
    made = {}
    for size in sizes:
        made[size] = deepcopy(single(model, known[0]))
        made[size].signatureDefs = [deepcopy(signature)]
        resize(made[size], size)
    return written(merged(made))


def single(model: schema.ModelT, batch_size: int) -> schema.ModelT:
    """The part of a file for one batch size, as a separate model.

    An interpreter only clears LSTM states in such a model.

    Raises:
        ValueError: the file was not converted for that size.
    """
    for signature in model.signatureDefs:
        if signature.signatureKey == _signature_key(batch_size):
            alone = schema.ModelT()
            alone.version, alone.operatorCodes, alone.buffers = model.version, model.operatorCodes, model.buffers
            alone.subgraphs, alone.signatureDefs = [model.subgraphs[signature.subgraphIndex]], []
            return alone
    sizes = ", ".join(map(str, batch_sizes(model)))
    raise ValueError(f"the file was converted for batches of {sizes} lines, not of {batch_size}")


def tensors(model: schema.ModelT, batch_size: int) -> tuple[dict[str, int], int]:
    """Tensor indices of the inputs, by name, and of the output."""
    signature = next(s for s in model.signatureDefs if s.signatureKey == _signature_key(batch_size))
    return {entry.name.decode(): entry.tensorIndex for entry in signature.inputs}, signature.outputs[0].tensorIndex


def code_of(model: schema.ModelT, operator: schema.OperatorT) -> int:
    """The kind of an operator, one of ``Operator``."""
    code = model.operatorCodes[operator.opcodeIndex]
    # Codes below 127 are also in the deprecated field of the schema, newer codes only in the other.
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def array_of(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray:
    """The stored values of a tensor."""
    content = bytes(model.buffers[tensor.buffer].data)
    return np.frombuffer(content, _TYPES[tensor.type]).reshape(tensor.shape)


def parameters(path: Path) -> Iterator[np.ndarray]:
    """The weights that the operators of one batch size store; shapes and scales are not parameters."""
    return parameters_of(read(path.read_bytes()))


def parameters_of(model: schema.ModelT) -> Iterator[np.ndarray]:
    """As ``parameters``, for a model in memory."""
    subgraph = model.subgraphs[0]
    widened = {op.outputs[0]: op.inputs[0] for op in subgraph.operators if code_of(model, op) == Operator.DEQUANTIZE}
    for operator in subgraph.operators:
        for position in _STORED.get(code_of(model, operator), ()):
            index = operator.inputs[position] if position < len(operator.inputs) else -1
            tensor = subgraph.tensors[widened.get(index, index)] if index >= 0 else None
            if tensor is not None and model.buffers[tensor.buffer].data is not None and prod(tensor.shape) > 1:
                yield array_of(model, tensor)


def macs(path: Path) -> int:
    """MACs for one line, from the shapes of one batch size."""
    return macs_of_model(read(path.read_bytes()))


def macs_of_model(model: schema.ModelT) -> int:
    """As ``macs``, for a model in memory."""
    subgraph, total = model.subgraphs[0], 0
    for operator in subgraph.operators:
        # The schema's integers are numpy's, which JSON cannot encode.
        shapes: Any = [tuple(map(int, subgraph.tensors[index].shape)) for index in operator.inputs]
        output = tuple(map(int, subgraph.tensors[operator.outputs[0]].shape))
        match code_of(model, operator):
            case Operator.CONV_2D:  # weights (outputs, height, width, inputs)
                total += prod(output[1:]) * prod(shapes[1][1:])
            case Operator.DEPTHWISE_CONV_2D:  # weights (1, height, width, outputs)
                total += prod(output[1:]) * prod(shapes[1][1:3])
            case Operator.FULLY_CONNECTED:  # weights (outputs, inputs)
                total += prod(output[1:]) * shapes[1][1]
            case Operator.UNIDIRECTIONAL_SEQUENCE_LSTM:  # (B, T, inputs) -> (B, T, units), or both (T, B, ...)
                steps = output[0] if operator.builtinOptions.timeMajor else output[1]
                total += lstm_macs(steps, shapes[0][2], output[2])
    return total
