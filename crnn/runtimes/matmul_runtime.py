"""A product of two square matrices by OpenVINO (oneDNN): what the cores reach at best, for the roofline.

It is computed as a matrix product and as a convolution of 1 x 1, in turn, because OpenVINO has other kernels for
each: on a processor with AVX2 and without VNNI, the convolution is the faster one in int8.
"""

from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from crnn.processor import usable_cores
from crnn.runtimes import base, openvino_runtime

SIZE = 1024
"""Rows and columns of each matrix: one product takes SIZE cubed MACs."""
FORMS = 2
"""Ways to compute the product; a call takes the next one."""
_SIDE = 32
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


def _model(openvino: Any, *, int8: bool, convolution: bool) -> Any:
    """(SIZE, SIZE) x constant (SIZE, SIZE) -> the largest value of each row, so that little is copied out."""
    from openvino import opset13 as ops

    # The convolution's rows are the pixels of one image, (1, SIZE, 32, 32).
    shape, weights = ([1, SIZE, _SIDE, _SIDE], [SIZE, SIZE, 1, 1]) if convolution else ([SIZE, SIZE], [SIZE, SIZE])
    random = np.random.default_rng(1)
    left = ops.parameter(shape, np.float32)
    now, right = left, ops.constant(random.standard_normal(weights, np.float32))
    if int8:
        low, high = np.float32(0), np.float32(1)
        now = ops.fake_quantize(left, low, high, low, high, 256)
        # 7 bits, as the rows' weights: without VNNI, 8 bits overflow.
        levels = ops.constant(random.integers(-64, 64, weights, np.int8))
        # One scale per output: (SIZE, 1, 1, 1) or (SIZE, 1)
        scales = np.full([SIZE] + [1] * (len(weights) - 1), 0.01, np.float32)
        right = ops.multiply(ops.convert(levels, np.float32), scales)
    if convolution:
        product = ops.convolution(now, right, [1, 1], [0, 0], [0, 0], [1, 1])
    else:
        product = ops.matmul(now, right, False, True)
    return openvino.Model([ops.reduce_max(product, np.array([1]), False)], [left], "product")


class Runtime(base.Runtime):
    """Multiplies; a call's images and field are ignored."""

    requires = ("openvino",)
    distributions = ("openvino",)

    def load(self, path: Path, device: str, *, precision: str = "fp32") -> None:
        """Compile the product.

        Args:
            path: ignored.
            device: ignored: it is computed on the CPU.
            precision: ``fp32``, ``bf16`` or ``int8``.

        Raises:
            RuntimeError: OpenVINO computes in another precision.
        """
        import openvino

        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": self.threads or usable_cores(),
            "ENABLE_CPU_PINNING": False,
        }
        kinds = {"fp32": {"f32"}, "bf16": {"bf16"}, "int8": {"u8", "i8"}}[precision]
        requests = []
        for convolution in (False, True):
            model = _model(openvino, int8=precision == "int8", convolution=convolution)
            compiled = openvino.Core().compile_model(model, "CPU", settings)
            nodes = compiled.get_runtime_model().get_ops()
            [computed] = [_text(node, "runtimePrecision") for node in nodes if _text(node, "layerType") in _PRODUCTS]
            if computed not in kinds:
                raise RuntimeError(f"OpenVINO multiplies in {computed} where {precision} is asked for")
            request = compiled.create_infer_request()
            left = np.random.default_rng(2).random(tuple(model.inputs[0].shape), np.float32)
            request.set_input_tensor(openvino.Tensor(left))
            requests.append(request)
        self._requests, self._version = cycle(requests), openvino.__version__

    @classmethod
    def unsupported(cls, device: str, **options: Any) -> str | None:
        """See the base class."""
        return openvino_runtime.Runtime.unsupported(device, **options)

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """One product; returns its largest values, SIZE of them."""
        return next(self._requests).infer(share_outputs=True)[0]

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"OpenVINO {self._version.partition('-')[0]} matrix product", "device": "cpu"}


_PRODUCTS = ("Convolution", "MatMul", "FullyConnected", "FullyConnectedQuantizedLegacy", "FullyConnectedQuantized")


def _text(node: Any, key: str) -> str:
    """A text among what the compiled model says of a layer."""
    return node.get_rt_info()[key].astype(str)
