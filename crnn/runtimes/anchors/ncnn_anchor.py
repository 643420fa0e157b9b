"""The anchor of ncnn."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from crnn.runtimes.anchors import Anchor

_CHANNELS, _POOLS = (1, 32, 64, 64, 128, 256), ((2, 2), (2, 1), (2, 2), (2, 2), (2, 1))
_FIELD, _UNITS, _CLASSES = 2, 256, 46
# Before a matrix: it is float32.
_FLOAT32 = bytes(4)


def _model() -> tuple[str, bytes]:
    """Graph and weights: five convolution blocks, two LSTMs and a linear layer."""
    random, content = np.random.default_rng(1), bytearray()
    layers = ["Input in0 0 1 images", "Input in1 0 1 field", "ExpandDims planes 1 1 images now0 -23303=1,0"]

    def add(kind: str, settings: str, more: str = "") -> None:
        """A layer that reads the last one's output."""
        now = len(layers) - 3
        layers.append(f"{kind} {kind}{now} {1 + bool(more)} 1 now{now}{more} now{now + 1} {settings}")

    def matrix(outputs: int, inputs: int) -> int:
        """Store random weights; returns their number."""
        scale = np.float32(1 / np.sqrt(inputs))
        content.extend(_FLOAT32 + (random.standard_normal((outputs, inputs), np.float32) * scale).tobytes())
        return outputs * inputs

    def vector(size: int, value: float) -> None:
        """Store equal values."""
        content.extend(np.full(size, value, np.float32).tobytes())

    for inputs, outputs, (down, across) in zip(_CHANNELS, _CHANNELS[1:], _POOLS, strict=False):
        # With a bias, and LeakyReLU.
        add("Convolution", f"0={outputs} 1=3 4=1 5=1 6={matrix(outputs, 9 * inputs)} 9=2 -23310=1,0.1")
        vector(outputs, 0)
        add("BatchNorm", f"0={outputs}")
        for value in (1, 0, 1, 0):  # scale, mean, variance, shift
            vector(outputs, value)
        add("Pooling", f"0=0 1={across} 11={down} 2={across} 12={down} 5=1")
    # (F, 1, 50) -> (F, 50) -> (50, F), the field joined: (50, F + 2)
    add("Squeeze", "-23303=1,1")
    add("Permute", "0=1")
    add("Concat", "0=1", " field")
    for inputs in (_CHANNELS[-1] + _FIELD, _UNITS):
        add("LSTM", f"0={_UNITS} 1={matrix(4 * _UNITS, inputs)} 2=0")
        content.extend(_FLOAT32)
        vector(4 * _UNITS, 0)
        matrix(4 * _UNITS, _UNITS)
    add("InnerProduct", f"0={_CLASSES} 1=0 2={matrix(_CLASSES, _UNITS)}")
    add("Softmax", "0=1 1=1")
    add("UnaryOp", "0=8")  # logarithm
    # Each layer has one output.
    return "\n".join(["7767517", f"{len(layers)} {len(layers)}", *layers]) + "\n", bytes(content)


class Runtime(Anchor):
    """The graph in a network, line by line."""

    requires = ("ncnn",)

    def load(self, path: Path, device: str) -> None:
        """See the base class; reads no file, and computes on the CPU."""
        import ncnn

        self._ncnn, self._net = ncnn, ncnn.Net()
        options = self._net.opt
        options.num_threads = self.threads or len(os.sched_getaffinity(0))
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        graph, weights = _model()
        # Only its reader of files reports errors.
        with TemporaryDirectory() as folder:
            Path(folder, "model.param").write_text(graph)
            Path(folder, "model.bin").write_bytes(weights)
            if self._net.load_param(f"{folder}/model.param") or self._net.load_model(f"{folder}/model.bin"):
                raise RuntimeError(f"ncnn {ncnn.__version__} refuses the anchor; its message is on standard error")
        self._last = f"now{len(graph.splitlines()) - 5}"

    def _line(self, image: np.ndarray, field: np.ndarray) -> np.ndarray:
        extractor = self._net.create_extractor()
        extractor.input("images", self._ncnn.Mat(image))
        extractor.input("field", self._ncnn.Mat(field))
        return np.array(extractor.extract(self._last)[1])

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        return np.stack(list(map(self._line, images, field)))

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"ncnn {self._ncnn.__version__}", "device": "cpu"}
