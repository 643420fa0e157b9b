"""One matrix product of two square matrices by OpenVINO (oneDNN): what the cores reach at best, for the roofline."""

from pathlib import Path
from typing import Any

import numpy as np

from crnn.processor import usable_cores
from crnn.runtimes import base, openvino_runtime

SIZE = 1024
"""Rows and columns of each matrix: one product takes SIZE cubed MACs."""
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


def _model(openvino: Any, *, int8: bool) -> Any:
    """(SIZE, SIZE) x constant (SIZE, SIZE) -> the largest value of each row, so that little is copied out."""
    from openvino import opset13 as ops

    random = np.random.default_rng(1)
    left = ops.parameter([SIZE, SIZE], np.float32)
    now, right = left, ops.constant(random.standard_normal((SIZE, SIZE), np.float32))
    if int8:
        low, high = np.float32(0), np.float32(1)
        now = ops.fake_quantize(left, low, high, low, high, 256)
        # 7 bits, as the rows' weights: without VNNI, 8 bits overflow.
        levels = ops.constant(random.integers(-64, 64, (SIZE, SIZE), np.int8))
        right = ops.multiply(ops.convert(levels, np.float32), np.full((1, SIZE), 0.01, np.float32))
    product = ops.matmul(now, right, False, False)
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
        compiled = openvino.Core().compile_model(_model(openvino, int8=precision == "int8"), "CPU", settings)
        kinds = {"fp32": "f32", "bf16": "bf16", "int8": "u8"}
        [product] = [node for node in compiled.get_runtime_model().get_ops() if _text(node, "layerType") in _PRODUCTS]
        computed = _text(product, "runtimePrecision")
        if computed not in (kinds[precision], "i8" if precision == "int8" else None):
            raise RuntimeError(f"OpenVINO multiplies in {computed} where {precision} is asked for")
        self._request, self._version = compiled.create_infer_request(), openvino.__version__
        self._left = np.random.default_rng(2).random((SIZE, SIZE), np.float32)

    @classmethod
    def unsupported(cls, device: str, **options: Any) -> str | None:
        """See the base class."""
        return openvino_runtime.Runtime.unsupported(device, **options)

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """One product; returns its largest values, (SIZE,)."""
        return self._request.infer([self._left], share_inputs=True)[0]

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"OpenVINO {self._version.partition('-')[0]} matrix product", "device": "cpu"}


_PRODUCTS = ("MatMul", "FullyConnected", "FullyConnectedQuantizedLegacy", "FullyConnectedQuantized")


def _text(node: Any, key: str) -> str:
    """A text among what the compiled model says of a layer."""
    return node.get_rt_info()[key].astype(str)
