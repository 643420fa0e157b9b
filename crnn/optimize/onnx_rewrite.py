"""Rewriting of an ONNX graph, so that kernels fuse; each step computes the same function.

A block of the CRNN is Conv -> LeakyReLU -> BatchNorm -> MaxPool. No converter folds the BatchNorm: it stands
behind the activation. With a positive scale s and a shift t it is s * LeakyReLU(x) + t = LeakyReLU(s * x) + t,
and MaxPool passes both, because they are monotonic. So

1. ``fold_scales`` multiplies the convolution's weights by s; the shift is left,
2. ``pool_first`` adds the shift after MaxPool, where the tensor is smaller,
3. ``fold_shifts`` adds it to the first LSTM's bias, and gives it to the next convolution.

The next convolution pads with zeros, so at the border its outputs lack the shift of the padded positions: it is not
a bias. Instead the previous convolution gets one more channel, which is 1 everywhere: padded like all others, it
is 1 inside and 0 in the padding. The weights of this channel are the next convolution's weights times t, summed.

Blocks with a scale that is not positive stay as they are.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx


class Graph:
    """A copy of a model with its nodes and constants by name.

    Attributes:
        model: the copy; edits change it.
    """

    def __init__(self, model: "onnx.ModelProto") -> None:
        self.model = type(model)()
        self.model.CopyFrom(model)
        self.nodes = self.model.graph.node

    def constant(self, name: str) -> np.ndarray | None:
        """The value of an initializer; None if there is none of that name."""
        from onnx import numpy_helper

        found = (tensor for tensor in self.model.graph.initializer if tensor.name == name)
        return next((numpy_helper.to_array(tensor) for tensor in found), None)

    def add_constant(self, name: str, values: np.ndarray) -> str:
        """Store a tensor under a new name that starts with ``name``; returns the name."""
        from onnx import numpy_helper

        taken = {tensor.name for tensor in self.model.graph.initializer}
        number = sum(other.partition("~")[0] == name for other in taken)
        unique = f"{name}~{number}"
        self.model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), unique))
        return unique

    def producer(self, name: str) -> "onnx.NodeProto | None":
        """The node that computes a value."""
        return next((node for node in self.nodes if name in node.output), None)

    def consumers(self, name: str) -> "list[onnx.NodeProto]":
        """The nodes that read a value."""
        return [node for node in self.nodes if name in node.input]

    def chain(self, node: "onnx.NodeProto", *kinds: str) -> "list[onnx.NodeProto] | None":
        """The nodes before a node, if they have these types, last first, and nothing else reads their outputs."""
        found = []
        for kind in kinds:
            before = self.producer(node.input[0])
            if before is None or before.op_type != kind or len(self.consumers(before.output[0])) != 1:
                return None
            found.append(before)
            node = before
        return found

    def finished(self) -> "onnx.ModelProto":
        """The model, without unused constants, checked."""
        import onnx

        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for tensor in self.model.graph.initializer if tensor.name in used]
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(kept)
        # Shapes of inner values may have changed.
        del self.model.graph.value_info[:]
        onnx.checker.check_model(self.model, full_check=True)
        return self.model


def _attribute(node: "onnx.NodeProto", name: str, default: float) -> float:
    return next((attribute.f for attribute in node.attribute if attribute.name == name), default)


def _per_channel(values: np.ndarray) -> np.ndarray:
    """(C,) -> (C, 1, 1), to be added to (B, C, H, W)."""
    return values.astype(np.float32)[:, None, None]


def fold_scales(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Multiply convolutions by the positive scale of the BatchNorm behind their LeakyReLU; the shift is added."""
    from onnx import helper

    graph = Graph(model)
    for position, norm in enumerate(graph.nodes):
        blocks = graph.chain(norm, "LeakyRelu", "Conv") if norm.op_type == "BatchNormalization" else None
        if blocks is None:
            continue
        _, conv = blocks
        gain, bias, mean, variance = (graph.constant(name) for name in norm.input[1:])
        scale = gain / np.sqrt(variance + np.float32(_attribute(norm, "epsilon", 1e-5)))
        if not (scale > 0).all():
            continue
        weight = graph.constant(conv.input[1])
        before = graph.constant(conv.input[2]) if len(conv.input) > 2 else np.zeros(len(weight), np.float32)
        folded = [
            graph.add_constant(conv.input[1], weight * scale[:, None, None, None]),
            graph.add_constant(f"{conv.input[1]}.bias", before * scale),
        ]
        del conv.input[1:]
        conv.input.extend(folded)
        shift = graph.add_constant(f"{norm.input[2]}.shift", _per_channel(bias - mean * scale))
        graph.nodes[position].CopyFrom(
            helper.make_node("Add", [norm.input[0], shift], [norm.output[0]], name=f"{norm.name}.shift")
        )
    return graph.finished()


def _shifts(graph: Graph) -> "list[onnx.NodeProto]":
    """The additions of one constant per channel, in order."""
    found = []
    for node in graph.nodes:
        constant = graph.constant(node.input[1]) if node.op_type == "Add" else None
        if constant is not None and constant.ndim == 3 and constant.shape[1:] == (1, 1):
            found.append(node)
    return found


def pool_first(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Add shifts after MaxPool instead of before it."""
    graph = Graph(model)
    for add in _shifts(graph):
        readers = graph.consumers(add.output[0])
        if [node.op_type for node in readers] != ["MaxPool"]:
            continue
        [pool] = readers
        shifted, pooled = add.output[0], pool.output[0]
        pool.input[0], pool.output[0] = add.input[0], shifted
        add.input[0], add.output[0] = shifted, pooled
        # The pool has to come before the addition now: nodes are in the order of execution.
        after = list(graph.nodes).index(pool)
        moved = type(add)()
        moved.CopyFrom(add)
        graph.nodes.remove(add)
        graph.nodes.insert(after, moved)
    return graph.finished()


def _give_to_convolution(graph: Graph, add: "onnx.NodeProto", reader: "onnx.NodeProto") -> bool:
    """Give a shift to the convolution that reads it, through one more channel that is 1 everywhere."""
    blocks = graph.chain(add, "MaxPool", "LeakyRelu", "Conv")
    if blocks is None or len(blocks[-1].input) < 3:
        return False
    conv, shift = blocks[-1], graph.constant(add.input[1])
    # A kernel of zeros and a bias of 1: LeakyReLU(1) = 1.
    weight, bias = (graph.constant(name) for name in conv.input[1:])
    conv.input[1] = graph.add_constant(conv.input[1], np.concatenate([weight, np.zeros_like(weight[:1])]))
    conv.input[2] = graph.add_constant(conv.input[2], np.append(bias, np.float32(1)))
    # (O, I, H, W) and (I, 1, 1) -> (O, 1, H, W)
    weight = graph.constant(reader.input[1])
    of_shift = (weight * shift).sum(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    reader.input[1] = graph.add_constant(reader.input[1], np.concatenate([weight, of_shift], axis=1))
    return True


def _lstm_behind(graph: Graph, name: str) -> "onnx.NodeProto | None":
    """The LSTM that reads a value; None if it is computed with in between, or read by others."""
    while True:
        readers = graph.consumers(name)
        if len(readers) != 1 or readers[0].op_type not in ("Squeeze", "Reshape", "Transpose", "Concat", "LSTM"):
            return None
        if readers[0].op_type == "LSTM":
            return readers[0]
        name = readers[0].output[0]


def _at_lstm(graph: Graph, add: "onnx.NodeProto", lstm: "onnx.NodeProto") -> np.ndarray:
    """The shift as the LSTM reads it, (I,): its input if field and the block's outputs are zero."""
    import onnxruntime
    from onnx import ValueInfoProto, helper

    probe = Graph(graph.model)
    zero = probe.add_constant("zero", np.zeros((), np.float32))
    [position] = [index for index, node in enumerate(probe.nodes) if node.output[0] == add.output[0]]
    silent = f"{add.input[0]}.silent"
    probe.nodes.insert(position, helper.make_node("Mul", [add.input[0], zero], [silent]))
    probe.nodes[position + 1].input[0] = silent
    probe.model.graph.output.append(ValueInfoProto(name=lstm.input[0]))
    session = onnxruntime.InferenceSession(probe.model.SerializeToString(), providers=["CPUExecutionProvider"])
    line = {value.name: np.zeros((1, *value.shape[1:]), np.float32) for value in session.get_inputs()}
    # (T, B, I)
    seen = session.run([lstm.input[0]], line)[0]
    if (seen != seen[:1, :1]).any():
        raise ValueError(f"the shift {add.name} differs between time steps")
    return seen[0, 0]


def _give_to_lstm(graph: Graph, add: "onnx.NodeProto", lstm: "onnx.NodeProto") -> bool:
    """Give the last shift to the bias of the first LSTM."""
    constants = [graph.constant(name) for name in (lstm.input[1], lstm.input[3])]
    if any(constant is None for constant in constants):
        return False
    # (1, 4H, I) and (1, 8H): the biases of input and state
    weight, bias = constants
    of_shift = weight[0].astype(np.float64) @ _at_lstm(graph, add, lstm)
    bias = bias.copy()
    bias[0, : len(of_shift)] += of_shift.astype(np.float32)
    lstm.input[3] = graph.add_constant(lstm.input[3], bias)
    return True


def fold_shifts(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Fold shifts into the convolution or the LSTM that reads them."""
    graph = Graph(model)
    for add in _shifts(graph):
        readers = graph.consumers(add.output[0])
        lstm = _lstm_behind(graph, add.output[0])
        if lstm is not None:
            given = _give_to_lstm(graph, add, lstm)
        else:
            given = [node.op_type for node in readers] == ["Conv"] and _give_to_convolution(graph, add, readers[0])
        if given:
            for reader in readers:
                reader.input[list(reader.input).index(add.output[0])] = add.input[0]
            graph.nodes.remove(add)
    return graph.finished()


STEPS: "tuple[Callable[[onnx.ModelProto], onnx.ModelProto], ...]" = (fold_scales, pool_first, fold_shifts)
"""The steps, in order."""


def rewritten(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """The model after all steps."""
    for step in STEPS:
        model = step(model)
    return model
