"""Rewriting of an ONNX graph of the CRNN; each step computes the same function.

A block of the CRNN is Conv -> LeakyReLU -> BatchNorm -> MaxPool. No converter moves or folds the BatchNorm,
because it follows the activation. With a scale s > 0 and a shift t, s * LeakyReLU(x) + t = LeakyReLU(s * x) + t,
and MaxPool commutes with all of it, because it is monotonic. Hence the steps below. Which of them pay depends on
the engine and its precision; ``python -m crnn.optimize.studies rewriting`` measures each.

Blocks with a scale that is not positive stay as they are.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn.optimize import onnx_graph
from crnn.optimize.onnx_edit import Graph, attribute
from crnn.optimize.recipe import Build

if TYPE_CHECKING:
    import onnx


def _per_channel(values: np.ndarray) -> np.ndarray:
    """(C,) -> (C, 1, 1), to be added to (B, C, H, W)."""
    return values.astype(np.float32)[:, None, None]


def _affine(graph: Graph, node: "onnx.NodeProto") -> tuple[np.ndarray, np.ndarray] | None:
    """Scale and shift per channel, both (C,), of a BatchNorm or of an addition per channel; None for other nodes."""
    if node.op_type == "BatchNormalization":
        gain, bias, mean, variance = (graph.required(name) for name in node.input[1:])
        scale = gain / np.sqrt(variance + np.float32(attribute(node, "epsilon", 1e-5)))
        return (scale, bias - mean * scale) if (scale > 0).all() else None
    if node.op_type == "Add":
        shift = graph.constant(node.input[1])
        if shift is not None and shift.ndim == 3 and shift.shape[1:] == (1, 1):
            return np.ones(len(shift), np.float32), shift[:, 0, 0]
    return None


def pool_first(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Pool before the BatchNorm (with positive scales) or the addition: it then has fewer values to compute."""
    graph = Graph(model)
    for node in list(graph.nodes):
        if _affine(graph, node) is not None:
            graph.swap_with_reader(node, "MaxPool")
    return graph.finished()


def activate_last(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Pool before the LeakyReLU (with a positive slope), too."""
    graph = Graph(model)
    for node in list(graph.nodes):
        if node.op_type == "LeakyRelu" and attribute(node, "alpha", 0.01) >= 0:
            graph.swap_with_reader(node, "MaxPool")
    return graph.finished()


def fold_scales(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Multiply the convolution's weights by the scale of the BatchNorm; the shift becomes an addition."""
    from onnx import helper

    graph = Graph(model)
    for position, norm in enumerate(graph.nodes):
        affine = _affine(graph, norm) if norm.op_type == "BatchNormalization" else None
        before = graph.chain(norm, {"LeakyRelu", "MaxPool"}) if affine else None
        if affine is None or before is None or before[-1].op_type != "Conv":
            continue
        conv, (scale, shift) = before[-1], affine
        weight = graph.required(conv.input[1])  # (O, I, H, W)
        bias = graph.required(conv.input[2]) if len(conv.input) > 2 else np.zeros(len(weight), np.float32)
        folded = [
            graph.add_constant(conv.input[1], weight * scale[:, None, None, None]),
            graph.add_constant(f"{conv.input[1]}.bias", bias * scale),
        ]
        del conv.input[1:]
        conv.input.extend(folded)
        added = graph.add_constant(f"{norm.input[2]}.shift", _per_channel(shift))
        graph.nodes[position].CopyFrom(
            helper.make_node("Add", [norm.input[0], added], [norm.output[0]], name=f"{norm.name}.shift")
        )
    return graph.finished()


def fold_into_lstm(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Fold the last block's scale and shift into the input weights and the bias of the first LSTM."""
    graph = Graph(model)
    for node in list(graph.nodes):
        affine = _affine(graph, node)
        lstm = graph.only_reader(node.output[0], through={"Squeeze", "Reshape", "Transpose", "Concat"})
        if affine is None or lstm is None or lstm.op_type != "LSTM":
            continue
        scale, shift = affine
        weight, bias = (graph.constant(name) for name in (lstm.input[1], lstm.input[3]))
        if weight is None or bias is None:
            continue
        # (1, 4H, I) and (1, 8H): the biases of the input and of the hidden state
        read = _channels_read(graph, node, lstm, len(scale))
        columns = np.flatnonzero(read >= 0)
        channels = read[columns]
        moved, added = weight.copy(), bias.copy()
        moved[:, :, columns] *= scale[channels]
        of_shift = weight[0][:, columns].astype(np.float64) @ shift[channels]
        added[0, : len(of_shift)] += of_shift.astype(np.float32)
        lstm.input[1] = graph.add_constant(lstm.input[1], moved)
        lstm.input[3] = graph.add_constant(lstm.input[3], added)
        graph.bypass(node)
    return graph.finished()


def _channels_read(graph: Graph, node: "onnx.NodeProto", lstm: "onnx.NodeProto", channels: int) -> np.ndarray:
    """For each input of the LSTM the channel of the node that it reads, (I,); -1 for none.

    Found by running the graph with a node that returns the number of the channel.

    Raises:
        ValueError: time steps read different channels.
    """
    import onnxruntime
    from onnx import ValueInfoProto, helper

    probe = Graph(graph.model)
    zero = probe.add_constant("zero", np.zeros((), np.float32))
    numbers = probe.add_constant("numbers", _per_channel(1 + np.arange(channels)))
    position = probe.position(node.output[0])
    silent = f"{node.output[0]}.silent"
    probe.nodes[position].CopyFrom(helper.make_node("Mul", [node.input[0], zero], [silent]))
    probe.nodes.insert(position + 1, helper.make_node("Add", [silent, numbers], [node.output[0]]))
    probe.model.graph.output.append(ValueInfoProto(name=lstm.input[0]))
    session = onnxruntime.InferenceSession(probe.model.SerializeToString(), providers=["CPUExecutionProvider"])
    line = {value.name: np.zeros((1, *value.shape[1:]), np.float32) for value in session.get_inputs()}
    seen = session.run([lstm.input[0]], line)[0]  # (T, B, I)
    if (seen != seen[:1, :1]).any():
        raise ValueError(f"{lstm.name} reads other channels of {node.name} in each time step")
    return seen[0, 0].astype(np.int64) - 1


def fold_shifts(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Give each addition to the convolution that reads it, exactly at the border too.

    The convolution pads with zeros, so at the border it must not see the shift of the padded positions: the shift
    is not a bias. Instead the convolution before gets one more channel, which is 1 everywhere and, padded like all
    others, 0 in the padding. The weights of this channel are the reader's weights times the shift, summed.
    """
    graph = Graph(model)
    for add in list(graph.nodes):
        affine = _affine(graph, add) if add.op_type == "Add" else None
        readers = graph.consumers(add.output[0])
        before = graph.chain(add, {"LeakyRelu", "MaxPool"}) if affine else None
        if affine is None or before is None or [node.op_type for node in readers] != ["Conv"]:
            continue
        conv, [reader] = before[-1], readers
        if conv.op_type != "Conv" or len(conv.input) < 3:
            continue
        # A kernel of zeros and a bias of 1: LeakyReLU(1) = 1.
        weight, bias = (graph.required(name) for name in conv.input[1:])
        conv.input[1] = graph.add_constant(conv.input[1], np.concatenate([weight, np.zeros_like(weight[:1])]))
        conv.input[2] = graph.add_constant(conv.input[2], np.append(bias, np.float32(1)))
        # (O, I, H, W) and (I, 1, 1) -> (O, 1, H, W)
        weight, shift = graph.required(reader.input[1]), _per_channel(affine[1])
        of_shift = (weight * shift).sum(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        reader.input[1] = graph.add_constant(reader.input[1], np.concatenate([weight, of_shift], axis=1))
        graph.bypass(add)
    return graph.finished()


FLOAT_STEPS = (pool_first, fold_into_lstm)
"""The steps that pay in float32 on ONNX Runtime: a BatchNorm is a depthwise convolution in its blocked layout, an
addition per channel leaves that layout."""
INT8_STEPS = (fold_scales, pool_first, activate_last, fold_into_lstm)
"""The steps that pay in int8: ONNX Runtime has no quantized BatchNorm."""


def rewritten_for_int8(source: Path) -> "onnx.ModelProto":
    """A ``.pt`` or ``.onnx`` file as a graph, optimized and rewritten by ``INT8_STEPS``."""
    model = onnx_graph.optimized(source)
    for step in INT8_STEPS:
        model = step(model)
    return model


def rewrite(build: Build) -> dict[str, Any]:
    """Rewrite the parent, an ``.onnx`` file, by ``FLOAT_STEPS``."""
    import onnx

    model = onnx.load(str(build.source))
    for step in FLOAT_STEPS:
        model = step(model)
    onnx.save(model, str(build.target))
    return {"steps": [step.__name__ for step in FLOAT_STEPS]}
