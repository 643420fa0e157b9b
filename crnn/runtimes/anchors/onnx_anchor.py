"""The anchor of ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np

from crnn.runtimes.anchors import Anchor
from crnn.runtimes.base import cuda_present

_CHANNELS, _POOLS = (1, 32, 64, 64, 128, 256), ((2, 2), (2, 1), (2, 2), (2, 2), (2, 1))
_HEIGHT, _WIDTH, _STEPS, _FIELD, _UNITS, _CLASSES = 32, 400, 50, 2, 256, 46


def _graph() -> bytes:
    """Five convolution blocks, two LSTMs and a linear layer."""
    from onnx import TensorProto, helper, numpy_helper

    random, nodes, weights = np.random.default_rng(1), [], []

    def weight(name: str, *shape: int) -> str:
        scale = 1 / np.sqrt(np.prod(shape[1:]))
        values = random.standard_normal(shape, np.float32) * np.float32(scale)
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def constant(name: str, values: Any, kind: type) -> str:
        weights.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    # (B, 32, 400) -> (B, 1, 32, 400)
    now = node("Unsqueeze", ["images", constant("channel", [1], np.int64)], "planes")
    for index, (inputs, outputs, pool) in enumerate(zip(_CHANNELS, _CHANNELS[1:], _POOLS, strict=False)):
        kernel, bias = weight(f"kernel{index}", outputs, inputs, 3, 3), weight(f"bias{index}", outputs, 1)
        weights[-1].dims[:] = [outputs]
        now = node("Conv", [now, kernel, bias], f"conv{index}", pads=[1, 1, 1, 1])
        now = node("LeakyRelu", [now], f"activation{index}", alpha=0.1)
        ones, zeros = np.ones(outputs), np.zeros(outputs)
        norm = [constant(f"{name}{index}", ones, np.float32) for name in ("scale", "variance")]
        norm += [constant(f"{name}{index}", zeros, np.float32) for name in ("shift", "mean")]
        now = node("BatchNormalization", [now, norm[0], norm[2], norm[3], norm[1]], f"norm{index}")
        now = node("MaxPool", [now], f"pool{index}", kernel_shape=pool, strides=pool)
    # (B, F, 1, 50) -> (B, F, 50) -> (50, B, F), the field joined: (50, B, F + 2)
    now = node("Squeeze", [now, constant("height", [2], np.int64)], "squeezed")
    now = node("Transpose", [now], "columns", perm=[2, 0, 1])
    now = node("Concat", [now, node("Transpose", ["field"], "kinds", perm=[1, 0, 2])], "steps", axis=2)
    direction = constant("direction", [1], np.int64)
    for index, size in enumerate((_CHANNELS[-1] + _FIELD, _UNITS)):
        names = [weight(f"input{index}", 1, 4 * _UNITS, size), weight(f"hidden{index}", 1, 4 * _UNITS, _UNITS)]
        nodes.append(helper.make_node("LSTM", [now, *names], [f"lstm{index}"], hidden_size=_UNITS))
        now = node("Squeeze", [f"lstm{index}", direction], f"h{index}")
    now = node("MatMul", [now, weight("classifier", _UNITS, _CLASSES)], "logits")
    # (50, B, C) -> (B, 50, C)
    node("LogSoftmax", [node("Transpose", [now], "lines", perm=[1, 0, 2])], "log_probs", axis=-1)
    shapes = {"images": ["B", _HEIGHT, _WIDTH], "field": ["B", _STEPS, _FIELD], "log_probs": ["B", _STEPS, _CLASSES]}
    ends = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    graph = helper.make_graph(nodes, "anchor", [ends["images"], ends["field"]], [ends["log_probs"]], weights)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


class Runtime(Anchor):
    """The graph in a session."""

    requires = ("onnx", "onnxruntime")

    def load(self, path: Path, device: str) -> None:
        """See the base class; reads no file."""
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        if self.threads:
            settings.intra_op_num_threads = settings.inter_op_num_threads = self.threads
        offered = onnxruntime.get_available_providers()
        cuda = device != "cpu" and "CUDAExecutionProvider" in offered and cuda_present()
        providers = [*(["CUDAExecutionProvider"] if cuda else []), "CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(_graph(), settings, providers=providers)
        self._version = onnxruntime.__version__

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        return self._session.run(None, {"images": images, "field": field})[0]

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"ONNX Runtime {self._version}", "device": self._session.get_providers()[0]}
