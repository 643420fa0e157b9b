"""Conversion to ONNX: the deployed function with inputs ``images`` and ``field``, any batch size."""

from typing import Any

from crnn.optimize.recipe import Build

OPSET = 17


def from_torch(build: Build) -> dict[str, Any]:
    """``torch.onnx.export`` of the traced model (the LSTMs become one node each)."""
    import torch

    from crnn.models import torch_crnn

    model = torch_crnn.LogProbabilities(torch_crnn.load(build.source)).eval()
    config = model.model.config
    example = (
        torch.zeros(2, config.height, config.width),
        torch.zeros(2, config.time_steps, config.field_features),
    )
    batch = torch.export.Dim("batch", min=1)
    torch.onnx.export(
        model,
        example,
        str(build.target),
        dynamo=True,
        verbose=False,
        opset_version=18,
        input_names=["images", "field"],
        output_names=["log_probs"],
        dynamic_shapes=({0: batch}, {0: batch}),
        external_data=False,
    )
    return {"opset": 18}


def from_keras(build: Build) -> dict[str, Any]:
    """``tf2onnx`` on the served function."""
    import onnx
    import tf2onnx

    from crnn.models import keras_crnn

    serve = keras_crnn.serving_function(keras_crnn.load(build.source))
    proto, _ = tf2onnx.convert.from_function(serve, serve.input_signature, opset=OPSET)
    onnx.save(proto, str(build.target))
    return {"opset": OPSET}
