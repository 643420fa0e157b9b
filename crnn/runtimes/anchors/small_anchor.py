"""The anchor of small models, on ONNX Runtime: its weights and activations fit in a core's second-level cache."""

from pathlib import Path
from typing import Any

import numpy as np

from crnn.runtimes.anchors import Anchor

_CHANNELS, _STRIDES = (1, 16, 32, 48, 64, 64), ((2, 2), (2, 2), (2, 2), (2, 1), (2, 1))
_HEIGHT, _WIDTH, _STEPS, _FIELD, _UNITS, _CLASSES = 32, 400, 50, 2, 64, 46


def _graph() -> bytes:
    """Five convolutions with strides, one LSTM and a linear layer; 150 thousand weights."""
    from onnx import TensorProto, helper, numpy_helper

    random, nodes, weights = np.random.default_rng(1), [], []

    def weight(name: str, *shape: int) -> str:
        values = random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def constant(name: str, *values: int) -> str:
        weights.append(numpy_helper.from_array(np.asarray(values, np.int64), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    # (B, 32, 400) -> (B, 1, 32, 400)
    now = node("Unsqueeze", ["images", constant("channel", 1)], "planes")
    for index, (inputs, outputs, strides) in enumerate(zip(_CHANNELS, _CHANNELS[1:], _STRIDES, strict=False)):
        kernel = weight(f"kernel{index}", outputs, inputs, 3, 3)
        now = node("Conv", [now, kernel], f"conv{index}", pads=[1, 1, 1, 1], strides=strides)
        now = node("Relu", [now], f"activation{index}")
    # (B, F, 1, 50) -> (B, F, 50) -> (50, B, F), the field joined: (50, B, F + 2)
    now = node("Squeeze", [now, constant("height", 2)], "squeezed")
    now = node("Transpose", [now], "columns", perm=[2, 0, 1])
    now = node("Concat", [now, node("Transpose", ["field"], "kinds", perm=[1, 0, 2])], "steps", axis=2)
    names = [weight("input", 1, 4 * _UNITS, _CHANNELS[-1] + _FIELD), weight("hidden", 1, 4 * _UNITS, _UNITS)]
    nodes.append(helper.make_node("LSTM", [now, *names], ["lstm"], hidden_size=_UNITS))
    now = node("Squeeze", ["lstm", constant("direction", 1)], "h")
    now = node("MatMul", [now, weight("classifier", _UNITS, _CLASSES)], "logits")
    # (50, B, C) -> (B, 50, C)
    node("LogSoftmax", [node("Transpose", [now], "lines", perm=[1, 0, 2])], "log_probs", axis=-1)
    shapes = {"images": ["B", _HEIGHT, _WIDTH], "field": ["B", _STEPS, _FIELD], "log_probs": ["B", _STEPS, _CLASSES]}
    ends = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    graph = helper.make_graph(nodes, "anchor", [ends["images"], ends["field"]], [ends["log_probs"]], weights)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


class Runtime(Anchor):
    """The graph in a session, on the CPU."""

    requires = ("onnx", "onnxruntime")

    def load(self, path: Path, device: str) -> None:
        """See the base class; reads no file."""
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        if self.threads:
            settings.intra_op_num_threads = settings.inter_op_num_threads = self.threads
        self._session = onnxruntime.InferenceSession(_graph(), settings, providers=["CPUExecutionProvider"])
        self._version = onnxruntime.__version__

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        return self._session.run(None, {"images": images, "field": field})[0]

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"ONNX Runtime {self._version}", "device": "CPUExecutionProvider"}
