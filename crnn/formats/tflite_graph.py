"""Edits of LiteRT graphs that correct the converter's output or make it faster."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from crnn.formats.tflite_file import TIME_MAJOR, Operator, array_of, code_of, schema

# Inputs of UNIDIRECTIONAL_SEQUENCE_LSTM: the four gates' weights for the input, then for the hidden state.
_LSTM_WEIGHTS = range(1, 9)
# The hidden state and the cell state, which an interpreter keeps between calls.
_LSTM_STATES = (18, 19)


def _stored(model: schema.ModelT, content: np.ndarray) -> int:
    """Add a buffer; returns its index."""
    buffer = schema.BufferT()
    buffer.data = content.reshape(-1).view(np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _add_tensor(
    subgraph: schema.SubGraphT, name: str, shape: Sequence[int], kind: int = schema.TensorType.FLOAT32, buffer: int = 0
) -> int:
    """Add a tensor: an activation, unless a buffer is given; returns its index."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name.encode(), list(shape), kind
    tensor.buffer, tensor.hasRank = buffer, True
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def _operator(
    model: schema.ModelT, kind: int, inputs: list[int], output: int, options_type: int, options: Any
) -> schema.OperatorT:
    """A new operator; adds its kind to the model if it is new there."""
    kinds = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    if kind not in kinds:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = 1
        model.operatorCodes.append(code)
        kinds.append(kind)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = kinds.index(kind), inputs, [output]
    operator.builtinOptionsType, operator.builtinOptions = options_type, options
    return operator


def lstms(model: schema.ModelT) -> Iterator[tuple[schema.SubGraphT, schema.OperatorT]]:
    """Each fused LSTM, with its subgraph."""
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            if code_of(model, operator) == Operator.UNIDIRECTIONAL_SEQUENCE_LSTM:
                yield subgraph, operator


def mend_lstms(model: schema.ModelT) -> None:
    """Make fused LSTMs compute the same as Keras' LSTMs.

    The converter clips cells at 10; Keras does not. With float16 weights it computes the initial
    states from constants in each call; here they become variables, as in other models.
    """
    for subgraph, operator in lstms(model):
        operator.builtinOptions.cellClip = 0.0
        for position in _LSTM_STATES:
            old = operator.inputs[position]
            computed = [other for other in subgraph.operators if old in other.outputs]
            if not computed:
                continue
            operator.inputs[position] = _add_tensor(subgraph, "state", subgraph.tensors[old].shape)
            subgraph.tensors[-1].isVariable = True
            subgraph.operators = [other for other in subgraph.operators if other not in computed]


def make_time_major(model: schema.ModelT) -> None:
    """Let LSTMs with float weights compute one time step of all lines at once, not line after line.

    The matrices are then read once per time step for the whole batch. Kernels for int8 weights gain nothing.
    """
    if not any(_on_floats(model, *where) for where in lstms(model)):
        return
    axes = _stored(model, np.array([1, 0, 2], np.int32))
    for subgraph in model.subgraphs:
        rows, turned, unread = [], dict[int, int](), set[int]()
        order = _add_tensor(subgraph, "axes", [3], schema.TensorType.INT32, axes)

        def turn(tensor: int, subgraph: schema.SubGraphT = subgraph) -> int:
            lines, steps, features = subgraph.tensors[tensor].shape
            return _add_tensor(subgraph, TIME_MAJOR.decode(), (steps, lines, features))

        def transpose(source: int, target: int, order: int = order) -> schema.OperatorT:
            options = schema.BuiltinOptions.TransposeOptions, schema.TransposeOptionsT()
            return _operator(model, Operator.TRANSPOSE, [source, order], target, *options)

        for operator in subgraph.operators:
            if _on_floats(model, subgraph, operator):
                # (B, T, F) -> (T, B, F), kept between two LSTMs
                before, after = operator.inputs[0], operator.outputs[0]
                if before not in turned:
                    turned[before] = turn(before)
                    rows.append(transpose(before, turned[before]))
                turned[after] = turn(after)
                unread.add(after)
                operator.inputs[0], operator.outputs = turned[before], [turned[after]]
                operator.builtinOptions.timeMajor = True
            else:
                # (T, B, F) -> (B, T, F)
                rows += [transpose(turned[tensor], tensor) for tensor in operator.inputs if tensor in unread]
                unread -= set(operator.inputs)
            rows.append(operator)
        subgraph.operators = rows


def _on_floats(model: schema.ModelT, subgraph: schema.SubGraphT, operator: schema.OperatorT) -> bool:
    """Whether it is an LSTM that computes with float weights; float16 ones are widened."""
    if code_of(model, operator) != Operator.UNIDIRECTIONAL_SEQUENCE_LSTM:
        return False
    return subgraph.tensors[operator.inputs[_LSTM_WEIGHTS[0]]].type == schema.TensorType.FLOAT32


def append_log_softmax(model: schema.ModelT) -> None:
    """Turn logits into log probabilities with a float operator, even if everything before it is quantized.

    Converted with the model it would be quantized too: steps of 1/16 nat, and distributions that do not sum to one.
    """
    [subgraph], [signature] = model.subgraphs, model.signatureDefs
    [logits] = subgraph.outputs
    index = _add_tensor(subgraph, "log_probs", subgraph.tensors[logits].shape)
    options = schema.BuiltinOptions.LogSoftmaxOptions, schema.LogSoftmaxOptionsT()
    subgraph.operators.append(_operator(model, Operator.LOG_SOFTMAX, [logits], index, *options))
    subgraph.outputs = [index]
    signature.outputs[0].tensorIndex, signature.outputs[0].name = index, b"log_probs"


def quantize_lstm_weights(model: schema.ModelT) -> None:
    """Store float LSTM weights in int8, one scale per matrix, as the converter's dynamic range quantization does."""
    for subgraph, operator in lstms(model):
        for position in _LSTM_WEIGHTS:
            tensor = subgraph.tensors[operator.inputs[position]]
            weights = array_of(model, tensor)
            scale = float(np.abs(weights).max()) / 127 or 1.0
            tensor.buffer = _stored(model, np.rint(weights / scale).astype(np.int8))
            tensor.type = schema.TensorType.INT8
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]
