"""The anchor of OpenVINO."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from crnn.runtimes.anchors import Anchor

_CHANNELS, _POOLS = (1, 32, 64, 64, 128, 256), ((2, 2), (2, 1), (2, 2), (2, 2), (2, 1))
_HEIGHT, _WIDTH, _STEPS, _FIELD, _UNITS, _CLASSES = 32, 400, 50, 2, 256, 46


def _model(openvino: Any, size: int) -> Any:
    """Five convolution blocks, two LSTMs and a linear layer, for one batch size."""
    from openvino import opset13 as ops

    random = np.random.default_rng(1)

    def weight(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))

    images = ops.parameter([size, _HEIGHT, _WIDTH], np.float32)
    field = ops.parameter([size, _STEPS, _FIELD], np.float32)
    for parameter, name in ((images, "images"), (field, "field")):
        parameter.output(0).get_tensor().set_names({name})
    # (B, 32, 400) -> (B, 1, 32, 400)
    now = ops.unsqueeze(images, 1)
    for inputs, outputs, pool in zip(_CHANNELS, _CHANNELS[1:], _POOLS, strict=False):
        now = ops.convolution(now, weight(outputs, inputs, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
        now = ops.prelu(ops.add(now, weight(1, outputs, 1, 1)), np.full(1, 0.1, np.float32))
        now = ops.add(ops.multiply(now, np.full((1, outputs, 1, 1), 1.1, np.float32)), weight(1, outputs, 1, 1))
        now = ops.max_pool(now, list(pool), [1, 1], [0, 0], [0, 0], list(pool)).output(0)
    # (B, F, 1, 50) -> (B, F, 50) -> (B, 50, F), the field joined: (B, 50, F + 2)
    now = ops.concat([ops.transpose(ops.squeeze(now, 2), [0, 2, 1]), field], 2)
    for inputs in (_CHANNELS[-1] + _FIELD, _UNITS):
        states = np.zeros((size, 1, _UNITS), np.float32)
        weights = [weight(1, 4 * _UNITS, inputs), weight(1, 4 * _UNITS, _UNITS), np.zeros((1, 4 * _UNITS), np.float32)]
        lengths = np.full(size, _STEPS, np.int64)
        # (B, 1, 50, H) -> (B, 50, H)
        layer = ops.lstm_sequence(now, states, states, lengths, *weights, _UNITS, "forward")
        now = ops.squeeze(layer.output(0), 1)
    logits = ops.matmul(now, weight(_UNITS, _CLASSES), False, False)
    return openvino.Model([ops.log_softmax(logits, -1)], [images, field], "anchor")


class Runtime(Anchor):
    """The graph, compiled in the first call at each batch size."""

    requires = ("openvino",)

    def load(self, path: Path, device: str) -> None:
        """See the base class; reads no file, and computes on the CPU."""
        import openvino

        self._openvino, self._core = openvino, openvino.Core()
        self._requests: dict[int, Any] = {}

    def _request(self, size: int) -> Any:
        if size not in self._requests:
            usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            settings = {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": self.threads or usable,
                "ENABLE_CPU_PINNING": False,
            }
            compiled = self._core.compile_model(_model(self._openvino, size), "CPU", settings)
            self._requests[size] = compiled.create_infer_request()
        return self._requests[size]

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        return self._request(len(images)).infer({"images": images, "field": field}, share_inputs=True)[0]

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"OpenVINO {self._openvino.__version__.partition('-')[0]}", "device": "cpu"}
