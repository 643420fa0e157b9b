"""OpenVINO's CPU plugin: one compiled model per batch size."""

from pathlib import Path
from typing import Any

import numpy as np

from crnn.processor import features, usable_cores
from crnn.runtimes import base
from crnn.runtimes.operators import FP32, INT8, Operator, medians

PRECISIONS = ("f32", "bf16")
# Below these, the plugin computes bfloat16 layers in float32 or converts in software.
_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
# What its profiler calls a precision.
_PRECISION_NAMES = {"f32": FP32, "f16": "fp16", "i8": INT8, "u8": INT8}
# Up to this many lines, copying inputs into OpenVINO's own tensors is cheaper than wrapping them in new ones (50 us).
_COPIED_LINES = 8


def leave_logits(model: Any) -> None:
    """Make the input of the final log softmax the output: in bfloat16 it would not sum to one.

    Raises:
        ValueError: the model does not end in a log softmax.
    """
    [result] = model.get_results()
    final = result.input_value(0).get_node()
    if final.get_type_name() != "LogSoftmax":
        raise ValueError(f"the model ends in {final.get_type_name()}, expected LogSoftmax: bfloat16 needs its logits")
    result.input(0).replace_source_output(final.input_value(0))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log probabilities over the last axis, float32."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


class Runtime(base.Runtime):
    """Runs an ``.openvino`` artifact. Shapes are static: a model is compiled in the first call at a batch size."""

    requires = ("openvino",)
    distributions = ("openvino",)
    anchor = "crnn.runtimes.anchors.openvino_anchor"
    throughput = True
    profiles = True

    def load(self, path: Path, device: str, *, precision: str = "f32") -> None:
        """See the base class.

        Args:
            path: the artifact.
            device: see the base class.
            precision: one of ``PRECISIONS``, of layers that the file does not quantize. By default
                OpenVINO chooses, so it could be lower than asked for.

        Raises:
            RuntimeError: CUDA is requested.
            ValueError: an unknown precision, or a file that OpenVINO cannot read.
        """
        if precision not in PRECISIONS:
            raise ValueError(f"no precision {precision!r}; there are: {', '.join(PRECISIONS)}")
        if device == "cuda":
            raise RuntimeError("--device cuda: OpenVINO has no CUDA plugin")
        import openvino

        from crnn.formats import openvino_file

        self._openvino, self._precision = openvino, precision
        self._core = openvino.Core()
        self._model = openvino_file.read(path, self._core)
        if precision == "bf16":
            leave_logits(self._model)
        self._requests: dict[int, tuple[Any, np.ndarray, np.ndarray, np.ndarray]] = {}

    @classmethod
    def unsupported(cls, device: str, **options: Any) -> str | None:
        """See the base class."""
        if options.get("precision") == "bf16" and features() and features().isdisjoint(_BFLOAT16):
            return "OpenVINO has no bfloat16 kernels for this processor: they need AVX512-BF16, AMX-BF16 or bf16 on ARM"
        return None

    def _request(self, size: int) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
        """The request for a batch size, compiled at its first use, and its tensors: images, field, output.

        Raises:
            RuntimeError: the plugin does not compute in the precision that was asked for.
        """
        if size not in self._requests:
            request = self._compiled(size).create_infer_request()
            tensors = request.get_tensor("images"), request.get_tensor("field"), request.get_output_tensor()
            self._requests[size] = (request, *(tensor.data for tensor in tensors))
        return self._requests[size]

    def _compiled(self, size: int, **settings: Any) -> Any:
        """The model, compiled for a batch size.

        Raises:
            RuntimeError: see ``_request``.
        """
        model = self._model.clone()
        model.reshape({value.any_name: [size, *list(value.partial_shape)[1:]] for value in model.inputs})
        compiled = self._core.compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": self._precision,
                # By default it takes one thread per physical core, on a virtual machine half of its cores.
                "INFERENCE_NUM_THREADS": self.threads or usable_cores(),
                # Pinned threads of two processes would share the first cores.
                "ENABLE_CPU_PINNING": False,
            }
            | settings,
        )
        computed = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if computed != self._precision:
            raise RuntimeError(f"OpenVINO computes in {computed} where {self._precision} is asked for")
        return compiled

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        request, own_images, own_field, outputs = self._request(len(images))
        # A dictionary of arrays, OpenVINO's usual interface, costs 0.1 ms per call more than either.
        if len(images) <= _COPIED_LINES:
            np.copyto(own_images, images)
            np.copyto(own_field, field)
        else:
            inputs = {"images": np.ascontiguousarray(images), "field": np.ascontiguousarray(field)}
            for name, array in inputs.items():
                request.set_tensor(name, self._openvino.Tensor(array, shared_memory=True))
        request.infer(share_outputs=True)
        return log_softmax(outputs) if self._precision == "bf16" else outputs.copy()

    def profile(self, images: np.ndarray, field: np.ndarray, calls: int) -> list[Operator]:
        """See the base class."""
        request = self._compiled(len(images), PERF_COUNT=True).create_infer_request()
        timed = []
        for _ in range(calls):
            request.infer({"images": images, "field": field}, share_inputs=True)
            for node in request.profiling_info:
                if node.status == node.EXECUTED:
                    # Such as brgconv_avx2_I8.
                    precision = node.exec_type.rpartition("_")[2].lower()
                    named = _PRECISION_NAMES.get(precision, precision)
                    timed.append((node.node_name, Operator(node.node_type, named, node.real_time.total_seconds())))
        return medians(timed)

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"OpenVINO {self._openvino.__version__.partition('-')[0]}", "device": "cpu"}
