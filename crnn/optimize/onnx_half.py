"""An ONNX graph in half precision."""

from typing import Any

from crnn.optimize.recipe import Build, RecipeError


def to_float16(build: Build) -> dict[str, Any]:
    """Turn all float tensors of a graph into float16; inputs, log softmax and output stay float32.

    The precision is in the graph, so any engine computes in it: TensorRT 11 has no flag for half precision.
    ONNX Runtime's own converter rounds the output to float16 as well, and casts it back.

    Raises:
        RecipeError: the graph does not end in a log softmax.
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError: the types do not fit together afterwards.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(build.source))
    graph = model.graph
    del graph.value_info[:]
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), tensor.name))
    cast = {value.name: f"{value.name}_float16" for value in graph.input}
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = cast.get(name, name)
    last = graph.node[-1]
    if last.op_type != "LogSoftmax" or list(last.output) != [value.name for value in graph.output]:
        raise RecipeError(f"{build.source.name} ends in {last.op_type}: half precision needs a log softmax there")
    logits, wide = last.input[0], f"{last.input[0]}_float32"
    last.input[0] = wide
    nodes = [
        *(helper.make_node("Cast", [name], [half], to=TensorProto.FLOAT16) for name, half in cast.items()),
        *graph.node[:-1],
        helper.make_node("Cast", [logits], [wide], to=TensorProto.FLOAT),
        last,
    ]
    # A copy: the nodes are the graph's own, and would go with it.
    copied = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copied)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(build.target))
    return {"float16": True}
