"""Recipes for a user's model: take it over, fix its sizes, optimize its graph."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crnn.interface import Interface
from crnn.optimize.given_files import sha256_of, take_over
from crnn.optimize.recipe import Build, RecipeError
from crnn.text import LOGITS

if TYPE_CHECKING:
    import onnx


def adopt(build: Build, *, source: str, sha256: str) -> dict[str, Any]:
    """Take a user's file over as it is, see ``take_over``.

    Args:
        build: the artifact to build; it has no parent.
        source: path of the file.
        sha256: of its files when they were looked at, see ``sha256_of``.

    Raises:
        RecipeError: the file is gone, or has changed since.
    """
    path = Path(source)
    try:
        found = sha256_of(path)
    except OSError as error:
        raise RecipeError(f"{error.filename}: {error.strerror}") from None
    if found != sha256:
        raise RecipeError(f"{source} has changed since it was looked at: SHA-256 {found}, then {sha256}")
    take_over(path, build.target)
    return {"source": path.name}


def with_sizes(model: "onnx.ModelProto", interface: Interface) -> "onnx.ModelProto":
    """Give the inputs' open dimensions the interface's sizes, but for the batch; changes the model."""
    shapes = interface.shapes(1)
    for value in model.graph.input:
        if value.name in shapes:
            for dimension, size in zip(value.type.tensor_type.shape.dim[1:], shapes[value.name][1:], strict=True):
                dimension.dim_value = size
    return model


def optimize(build: Build, *, interface: Mapping[str, Any]) -> dict[str, Any]:
    """Fix the graph's sizes and optimize it, see ``onnx_graph.optimized``.

    Args:
        build: the artifact to build; the parent is an ``.onnx`` file.
        interface: of the model, see ``Interface.of``.
    """
    import onnx

    from crnn.optimize import onnx_graph

    fixed = with_sizes(onnx.load(str(build.source)), Interface.of(interface))
    before = len(fixed.graph.node)
    model = onnx_graph.optimized_model(fixed, build.source.name)
    onnx.save(model, str(build.target))
    return {"nodes_before": before, "nodes_after": len(model.graph.node)}


def missing_children(path: Path, interface: Interface) -> dict[str, str]:
    """Which of a file's children cannot be made, and why, by the end of their name; see ``registry/given.py``."""
    if path.suffix == ".onnx":
        return _missing_of_onnx(path, interface)
    return {}


def _ends_in_softmax(model: "onnx.ModelProto", output: str) -> bool:
    """Whether an output is a softmax or log softmax, perhaps transposed."""
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(output)
    while node is not None and node.op_type in ("Transpose", "Identity"):
        node = makers.get(node.input[0])
    return node is not None and node.op_type in ("Softmax", "LogSoftmax")


def _missing_of_onnx(path: Path, interface: Interface) -> dict[str, str]:
    import onnx

    from crnn.optimize import onnx_rewrite

    model = with_sizes(onnx.load(str(path)), interface)
    kinds, found = {node.op_type for node in model.graph.node}, {}
    if kinds.isdisjoint({"LSTM", "MatMul", "Gemm"}):
        found["-int8-dynamic"] = "no LSTM and no matrix product"
    if kinds.isdisjoint({"Conv", "MatMul", "Gemm"}):
        found["-int8-static"] = "no convolution and no matrix product"
    before = model.SerializeToString(deterministic=True)
    for step in onnx_rewrite.FLOAT_STEPS:
        model = step(model)
    if model.SerializeToString(deterministic=True) == before:
        found["-rewritten"] = "no BatchNorm that can move behind a pooling or into an LSTM"
    if interface.values != LOGITS and not _ends_in_softmax(model, interface.output):
        found["-ov-bf16"] = "its output is no softmax of logits, which bfloat16 needs"
    return found
