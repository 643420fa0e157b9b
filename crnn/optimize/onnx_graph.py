"""Graph optimization of an ONNX file: onnxoptimizer, then onnxsim."""

from typing import Any

from crnn.optimize.recipe import Build


def optimize(build: Build) -> dict[str, Any]:
    """Fuse and eliminate nodes; the result computes the same function.

    Raises:
        RuntimeError: onnxsim's own check finds a difference.
    """
    import onnx
    import onnxoptimizer
    import onnxsim

    original = onnx.load(str(build.source))
    fused = onnxoptimizer.optimize(original, onnxoptimizer.get_fuse_and_elimination_passes())
    simplified, agrees = onnxsim.simplify(fused, check_n=1, test_input_shapes=_one_line(original))
    if not agrees:
        raise RuntimeError(f"onnxsim changed what {build.source.name} computes")
    onnx.save(simplified, str(build.target))
    return {"nodes_before": len(original.graph.node), "nodes_after": len(simplified.graph.node)}


def _one_line(model: Any) -> dict[str, list[int]]:
    """Input shapes by name, with the open batch size set to 1."""
    return {
        value.name: [1, *(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])] for value in model.graph.input
    }
