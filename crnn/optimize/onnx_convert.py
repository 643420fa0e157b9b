"""Conversion to ONNX: the deployed function with inputs ``images`` and ``field``, any batch size."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from crnn.optimize.recipe import Build

if TYPE_CHECKING:
    import onnx

OPSET = 17


def _forget_sources(path: Path) -> None:
    """Remove the exporter's source locations: they contain paths, so each checkout would give a different file."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)


def _name_by_position(model: "onnx.ModelProto") -> None:
    """Merge equal constants; name constants, nodes and inner values in the order of the nodes.

    tf2onnx numbers, names and merges in the order of threads and sets, so the same graph would
    give a different file each time.
    """
    graph = model.graph
    names = {value.name: value.name for value in graph.output}
    for index, node in enumerate(graph.node):
        for position, name in enumerate(node.input):
            node.input[position] = names.get(name, name)
        node.name = f"{node.op_type}{index}"
        for position, name in enumerate(node.output):
            if name:
                node.output[position] = names.setdefault(name, f"{node.name}:{position}")
    kept: dict[bytes, onnx.TensorProto] = {}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in constants:
                tensor = type(constants[name])()
                tensor.CopyFrom(constants[name])
                tensor.name = ""
                content = tensor.SerializeToString(deterministic=True)
                tensor.name = f"constant{len(kept)}"
                node.input[position] = kept.setdefault(content, tensor).name
    del graph.initializer[:]
    graph.initializer.extend(kept.values())


def export(source: Path, target: Path) -> None:
    """Convert a ``.pt`` file with ``torch.onnx.export``; each LSTM becomes one node."""
    import onnxscript  # noqa: F401 the exporter uses it: its version affects the graph too
    import torch

    from crnn.formats import pt_file
    from crnn.models import torch_crnn

    model = torch_crnn.LogProbabilities(pt_file.load(source)).eval()
    config = model.model.config
    example = (
        torch.zeros(2, config.height, config.width),
        torch.zeros(2, config.time_steps, config.field_features),
    )
    batch = torch.export.Dim("batch", min=1)
    torch.onnx.export(
        model,
        example,
        str(target),
        dynamo=True,
        verbose=False,
        opset_version=18,
        input_names=["images", "field"],
        output_names=["log_probs"],
        dynamic_shapes=({0: batch}, {0: batch}),
        external_data=False,
    )
    _forget_sources(target)


def exported(source: Path, folder: Path) -> Path:
    """The ``.onnx`` file of a parent: itself, or a ``.pt`` file converted into a folder."""
    if source.suffix == ".onnx":
        return source
    target = folder / "exported.onnx"
    export(source, target)
    return target


def from_torch(build: Build) -> dict[str, Any]:
    """Convert a ``.pt`` file, see ``export``."""
    export(build.source, build.target)
    return {"opset": 18}


def from_keras(build: Build) -> dict[str, Any]:
    """Convert the serving function with ``tf2onnx``."""
    import onnx
    import tf2onnx

    from crnn.formats import keras_file
    from crnn.models import keras_crnn

    serve = keras_crnn.serving_function(keras_file.load(build.source))
    proto, _ = tf2onnx.convert.from_function(serve, serve.input_signature, opset=OPSET)
    _name_by_position(proto)
    onnx.save(proto, str(build.target))
    return {"opset": OPSET}
