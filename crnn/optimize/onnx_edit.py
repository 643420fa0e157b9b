"""Editing of an ONNX graph: nodes and constants by name."""

import itertools
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx


def attribute(node: "onnx.NodeProto", name: str, default: float) -> float:
    """A float attribute of a node."""
    return next((found.f for found in node.attribute if found.name == name), default)


class Graph:
    """A copy of a model with its nodes and constants by name.

    Attributes:
        model: the copy; edits change it.
        nodes: its nodes, in the order of execution.
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

    def required(self, name: str) -> np.ndarray:
        """The value of an initializer.

        Raises:
            ValueError: there is none of that name, so the value is computed in the graph.
        """
        value = self.constant(name)
        if value is None:
            raise ValueError(f"{name} is not a constant: optimize the graph first, which folds constants")
        return value

    def add_constant(self, name: str, values: np.ndarray) -> str:
        """Store a tensor under a new name that starts with ``name``; returns the name."""
        from onnx import numpy_helper

        stem, taken = name.partition("~")[0], {tensor.name for tensor in self.model.graph.initializer}
        unique = next(f"{stem}~{number}" for number in itertools.count() if f"{stem}~{number}" not in taken)
        self.model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), unique))
        return unique

    def producer(self, name: str) -> "onnx.NodeProto | None":
        """The node that computes a value."""
        return next((node for node in self.nodes if name in node.output), None)

    def position(self, name: str) -> int:
        """The position of the node that computes a value."""
        return next(index for index, node in enumerate(self.nodes) if name in node.output)

    def consumers(self, name: str) -> "list[onnx.NodeProto]":
        """The nodes that read a value."""
        return [node for node in self.nodes if name in node.input]

    def only_reader(self, name: str, through: Collection[str]) -> "onnx.NodeProto | None":
        """The one node that reads a value, looked up behind nodes of some types; None if several do."""
        while True:
            readers = self.consumers(name)
            if len(readers) != 1:
                return None
            if readers[0].op_type not in through:
                return readers[0]
            name = readers[0].output[0]

    def chain(self, node: "onnx.NodeProto", through: Collection[str]) -> "list[onnx.NodeProto] | None":
        """The nodes before a node, the nearest first, up to the first that is not of these types.

        None if another node reads one of their outputs, or an input of the model is reached.
        """
        found: list[onnx.NodeProto] = []
        while not found or found[-1].op_type in through:
            before = self.producer((found[-1] if found else node).input[0])
            if before is None or len(self.consumers(before.output[0])) != 1:
                return None
            found.append(before)
        return found

    def swap_with_reader(self, node: "onnx.NodeProto", kind: str) -> bool:
        """Execute a node after its only reader, if that has this type."""
        readers = self.consumers(node.output[0])
        if [reader.op_type for reader in readers] != [kind]:
            return False
        [reader] = readers
        inner, outer = node.output[0], reader.output[0]
        reader.input[0], reader.output[0] = node.input[0], inner
        node.input[0], node.output[0] = inner, outer
        moved = type(node)()
        moved.CopyFrom(node)
        self.nodes.remove(node)
        self.nodes.insert(self.position(inner) + 1, moved)
        return True

    def bypass(self, node: "onnx.NodeProto") -> None:
        """Remove a node; its readers read its first input."""
        source, output = node.input[0], node.output[0]
        for reader in self.consumers(output):
            reader.input[list(reader.input).index(output)] = source
        self.nodes.remove(node)

    def finished(self) -> "onnx.ModelProto":
        """The model without unused constants, checked."""
        import onnx

        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for tensor in self.model.graph.initializer if tensor.name in used]
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(kept)
        # Shapes of inner values may have changed.
        del self.model.graph.value_info[:]
        onnx.checker.check_model(self.model, full_check=True)
        return self.model
