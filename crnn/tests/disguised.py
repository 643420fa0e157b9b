"""The CRNN's ONNX graph behind another interface: a real recognizer that takes and returns what a test asks for."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from crnn.interface import Interface
from crnn.text import LOGITS, PROBABILITIES

FIELD = np.tile(np.array([0.5, 0.5], np.float32), (1, 50, 1))
"""Half digits, half letters, (1, 50, 2): the field of all lines for interfaces without one."""


def _pixels(shown, nodes, constants):
    """Undo layout, channels and scaling: the input -> images (B, 32, 400)."""
    name = shown.images
    axes = [axis for axis in "BCHW" if axis in shown.layout]
    # axes as in the layout -> (B, C, H, W) or (B, H, W)
    nodes.append(helper.make_node("Transpose", [name], ["planes"], perm=[shown.layout.index(axis) for axis in axes]))
    name = "planes"
    if "C" in shown.layout:
        # Of three equal channels the first.
        constants["first"] = np.array(0, np.int64)
        nodes.append(helper.make_node("Gather", [name, "first"], ["plane"], axis=1))  # (B, C, H, W) -> (B, H, W)
        name = "plane"
    constants["std"] = np.float32(shown.std[0] / (shown.white - shown.black))
    constants["mean"] = np.float32((shown.mean[0] - shown.black) / (shown.white - shown.black))
    nodes.append(helper.make_node("Mul", [name, "std"], ["scaled"]))
    nodes.append(helper.make_node("Add", ["scaled", "mean"], ["plain"]))
    return "plain"


def disguise(source, target, shown, order=None):
    """Write the graph with another interface.

    Args:
        source: ``.onnx`` file of the CRNN.
        target: the new file.
        shown: what it takes and returns; 32 x 400 pixels.
        order: of the 45 characters, as positions in the alphabet; None for the alphabet's own.
    """
    model = onnx.load(source)
    graph = model.graph
    before, after, constants = [], [], {}
    renamed = {"images": _pixels(shown, before, constants), "field": shown.field or "own kinds"}
    if not shown.field:
        # (1, 50, 2) for each line of the batch: shape of the images -> (B, 1, 1)
        constants |= {"own field": FIELD, "once": np.array([1, 1], np.int64)}
        before += [
            helper.make_node("Shape", [shown.images], ["lines"], end=1),
            helper.make_node("Concat", ["lines", "once"], ["repeats"], axis=0),
            helper.make_node("Tile", ["own field", "repeats"], ["own kinds"]),
        ]
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = renamed.get(name, name)
        for position, name in enumerate(node.output):
            node.output[position] = "own output" if name == "log_probs" else name
    name, count = "own output", 46
    characters = list(range(1, count)) if order is None else [1 + place for place in order]
    blank = shown.blank % count
    constants["own classes"] = np.array([*characters[:blank], 0, *characters[blank:]], np.int64)
    after.append(helper.make_node("Gather", [name, "own classes"], ["ordered"], axis=2))
    name = "ordered"
    if shown.values == PROBABILITIES:
        after.append(helper.make_node("Softmax", [name], ["softmax"], axis=-1))
        name = "softmax"
    elif shown.values == LOGITS:
        constants["seven"] = np.float32(7)
        after.append(helper.make_node("Add", [name, "seven"], ["logits"]))
        name = "logits"
    permuted = [1, 0, 2] if shown.output_layout == "TBC" else [0, 1, 2]
    after.append(helper.make_node("Transpose", [name], [shown.output or "out"], perm=permuted))
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(array), key) for key, array in constants.items())
    sizes = {"B": "batch", "C": shown.channels, "H": 32, "W": 400}
    graph.input.append(
        helper.make_tensor_value_info(shown.images, TensorProto.FLOAT, [sizes[axis] for axis in shown.layout])
    )
    if shown.field:
        graph.input.append(helper.make_tensor_value_info(shown.field, TensorProto.FLOAT, ["batch", 50, 2]))
    shape = {"BTC": ["batch", 50, count], "TBC": [50, "batch", count]}[shown.output_layout]
    graph.output.append(helper.make_tensor_value_info(shown.output or "out", TensorProto.FLOAT, shape))
    del graph.value_info[:]
    onnx.save(model, target)
    return target


PADDLE = Interface(
    channels=3,
    layout="BCHW",
    images="x",
    mean=(0.5,),
    std=(0.5,),
    output="softmax_0",
    output_layout="TBC",
    values=PROBABILITIES,
    blank=-1,
)
"""As PaddleOCR's models are fed, time steps first, the blank last."""
