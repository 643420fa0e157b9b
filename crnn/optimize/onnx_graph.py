"""Graph optimization of an ONNX file: onnxoptimizer, then onnxsim."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from crnn.optimize import onnx_convert
from crnn.optimize.recipe import Build

if TYPE_CHECKING:
    import onnx


def optimized(source: Path) -> "onnx.ModelProto":
    """A graph with nodes fused and eliminated and constants folded; it computes the same function.

    Args:
        source: an ``.onnx`` file, or a ``.pt`` file, which is converted first.

    Raises:
        RuntimeError: onnxsim's own check finds a difference.
        ValueError: ONNX cannot read the file.
    """
    return optimized_model(_graph(source), source.name)


def optimized_model(original: "onnx.ModelProto", name: str) -> "onnx.ModelProto":
    """As ``optimized``, for a graph in memory whose only open size is the batch's.

    Args:
        original: the graph.
        name: of its file, for messages.

    Raises:
        RuntimeError: onnxsim's own check finds a difference.
    """
    import onnxoptimizer
    import onnxsim

    fused = onnxoptimizer.optimize(original, onnxoptimizer.get_fuse_and_elimination_passes())
    simplified, agrees = onnxsim.simplify(fused, check_n=1, test_input_shapes=_one_line(original))
    if not agrees:
        raise RuntimeError(f"onnxsim changed what {name} computes")
    return simplified


def optimize(build: Build) -> dict[str, Any]:
    """Optimize the parent, see ``optimized``."""
    import onnx

    model = optimized(build.source)
    onnx.save(model, str(build.target))
    return {"nodes_before": len(_graph(build.source).graph.node), "nodes_after": len(model.graph.node)}


def _graph(source: Path) -> "onnx.ModelProto":
    import onnx
    from google.protobuf.message import DecodeError

    with TemporaryDirectory() as folder:
        path = onnx_convert.exported(source, Path(folder))
        try:
            return onnx.load(str(path))
        except DecodeError as error:
            raise ValueError(f"{source} is not a whole ONNX file: {error}") from None


def _one_line(model: "onnx.ModelProto") -> dict[str, list[int]]:
    """Input shapes by name, with the open batch size set to 1."""
    return {
        value.name: [1, *(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])] for value in model.graph.input
    }
