"""The anchor of LiteRT."""

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import numpy as np

from crnn.runtimes.anchors import Anchor

_CHANNELS, _POOLS = (1, 32, 64, 64, 128, 256), ((2, 2), (2, 1), (2, 2), (2, 2), (2, 1))
_HEIGHT, _WIDTH, _STEPS, _FIELD, _UNITS, _CLASSES = 32, 400, 50, 2, 256, 46
_TANH, _GATES, _LSTM_INPUTS, _LSTM_STATES = 4, 4, 24, (18, 19)


class _Graph:
    """A LiteRT model with one subgraph, built operator by operator."""

    def __init__(self, schema: Any) -> None:
        self._schema, self._random = schema, np.random.default_rng(1)
        self.model, self._graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.subgraphs = 3, [self._graph]
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self._graph.tensors, self._graph.operators = [], []

    def tensor(self, name: str, shape: tuple[int, ...], values: np.ndarray | None = None, state: bool = False) -> int:
        """A new tensor: an activation, stored values, or a state that is kept from call to call."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank, tensor.isVariable = name.encode(), list(shape), True, state
        kinds = self._schema.TensorType
        tensor.type = kinds.INT32 if values is not None and values.dtype == np.int32 else kinds.FLOAT32
        if values is not None:
            buffer = self._schema.BufferT()
            buffer.data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def weight(self, name: str, *shape: int) -> int:
        """Random weights (outputs, ...)."""
        scale = 1 / np.sqrt(np.prod(shape[1:]))
        return self.tensor(name, shape, self._random.standard_normal(shape, np.float32) * np.float32(scale))

    def filled(self, name: str, size: int, value: float) -> int:
        """Constant values (size,)."""
        return self.tensor(name, (size,), np.full(size, value, np.float32))

    def shape_of(self, tensor: int) -> tuple[int, ...]:
        """Of a tensor."""
        return tuple(self._graph.tensors[tensor].shape)

    def add(self, kind: str, inputs: list[int], shape: tuple[int, ...], options_type: str, **options: Any) -> int:
        """A new operator with one output of that shape; returns the output."""
        code, operator = self._schema.OperatorCodeT(), self._schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(self._schema.BuiltinOperator, kind)
        code.version = 1
        self.model.operatorCodes.append(code)
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, options_type)
        operator.builtinOptions = getattr(self._schema, f"{options_type}T")()
        for name, value in options.items():
            setattr(operator.builtinOptions, name, value)
        output = self.tensor(f"{kind}{len(self._graph.operators)}", shape)
        operator.inputs, operator.outputs = inputs, [output]
        self._graph.operators.append(operator)
        return output

    def reshape(self, tensor: int, shape: tuple[int, ...]) -> int:
        """The same values in another shape."""
        target = self.tensor("shape", (len(shape),), np.array(shape, np.int32))
        return self.add("RESHAPE", [tensor, target], shape, "ReshapeOptions")

    def lstm(self, steps: int, units: int) -> int:
        """(B, T, I) -> (B, T, units)."""
        lines, length, features = self.shape_of(steps)
        inputs = [-1] * _LSTM_INPUTS
        inputs[0] = steps
        for gate in range(_GATES):
            inputs[1 + gate] = self.weight("input", units, features)
            inputs[5 + gate] = self.weight("hidden", units, units)
            inputs[12 + gate] = self.filled("bias", units, 0)
        for position in _LSTM_STATES:
            inputs[position] = self.tensor("state", (lines, units), state=True)
        options = {"fusedActivationFunction": _TANH}
        kind, options_type = "UNIDIRECTIONAL_SEQUENCE_LSTM", "UnidirectionalSequenceLSTMOptions"
        return self.add(kind, inputs, (lines, length, units), options_type, **options)

    def finish(self, inputs: list[int], output: int) -> bytes:
        """The content of the file."""
        import flatbuffers

        self._graph.inputs, self._graph.outputs = inputs, [output]
        builder = flatbuffers.Builder()
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _content(schema: Any, lines: int) -> bytes:
    """Five convolution blocks, two LSTMs and a linear layer for one batch size."""
    graph = _Graph(schema)
    images, field = graph.tensor("images", (lines, _HEIGHT, _WIDTH)), graph.tensor("field", (lines, _STEPS, _FIELD))
    # (B, 32, 400) -> (B, 32, 400, 1)
    now = graph.reshape(images, (lines, _HEIGHT, _WIDTH, 1))
    for inputs, outputs, (down, across) in zip(_CHANNELS, _CHANNELS[1:], _POOLS, strict=False):
        _, height, width, _ = graph.shape_of(now)
        same, pooled = (lines, height, width, outputs), (lines, height // down, width // across, outputs)
        kernel, bias = graph.weight("kernel", outputs, 3, 3, inputs), graph.filled("bias", outputs, 0)
        now = graph.add("CONV_2D", [now, kernel, bias], same, "Conv2DOptions", strideH=1, strideW=1)
        now = graph.add("LEAKY_RELU", [now], same, "LeakyReluOptions", alpha=0.1)
        now = graph.add("MUL", [now, graph.filled("scale", outputs, 1)], same, "MulOptions")
        now = graph.add("ADD", [now, graph.filled("shift", outputs, 0)], same, "AddOptions")
        window = {"filterHeight": down, "filterWidth": across, "strideH": down, "strideW": across}
        now = graph.add("MAX_POOL_2D", [now], pooled, "Pool2DOptions", **window)
    # (B, 1, 50, F) -> (B, 50, F), the field joined: (B, 50, F + 2)
    now = graph.reshape(now, (lines, _STEPS, _CHANNELS[-1]))
    joined = (lines, _STEPS, _CHANNELS[-1] + _FIELD)
    now = graph.add("CONCATENATION", [now, field], joined, "ConcatenationOptions", axis=2)
    for _ in range(2):
        now = graph.lstm(now, _UNITS)
    classifier = [graph.weight("classifier", _CLASSES, _UNITS), graph.filled("bias", _CLASSES, 0)]
    logits = (lines, _STEPS, _CLASSES)
    now = graph.add("FULLY_CONNECTED", [now, *classifier], logits, "FullyConnectedOptions", keepNumDims=True)
    return graph.finish([images, field], graph.add("LOG_SOFTMAX", [now], logits, "LogSoftmaxOptions"))


class Runtime(Anchor):
    """The graph in an interpreter per batch size."""

    requires = ("ai_edge_litert", "flatbuffers")

    def load(self, path: Path, device: str) -> None:
        """See the base class; reads no file."""
        from ai_edge_litert import schema_py_generated
        from ai_edge_litert.interpreter import Interpreter

        self._schema, self._interpreter = schema_py_generated, Interpreter
        self._ready: dict[int, Any] = {}

    def _for(self, lines: int) -> Any:
        if lines not in self._ready:
            threads = self.threads or len(os.sched_getaffinity(0))
            content = _content(self._schema, lines)
            self._ready[lines] = self._interpreter(model_content=content, num_threads=threads)
            self._ready[lines].allocate_tensors()
        return self._ready[lines]

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        interpreter = self._for(len(images))
        interpreter.reset_all_variables()
        for tensor, values in zip(interpreter.get_input_details(), (images, field), strict=True):
            interpreter.set_tensor(tensor["index"], values)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"LiteRT {importlib.metadata.version('ai-edge-litert')}", "device": "cpu"}
