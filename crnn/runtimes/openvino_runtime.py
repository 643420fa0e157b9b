"""OpenVINO's CPU plugin: one compiled model per batch size."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from crnn.processor import features, usable_cores
from crnn.runtimes import base
from crnn.runtimes.operators import FP32, INT8, Operator, medians
from crnn.text import LOGITS

PRECISIONS = ("f32", "bf16")
# Below these, the plugin computes bfloat16 layers in float32 or converts in software.
_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
# What its profiler calls a precision.
_PRECISION_NAMES = {"f32": FP32, "f16": "fp16", "i8": INT8, "u8": INT8}
# Up to this many lines, copying inputs into OpenVINO's own tensors is cheaper than wrapping them in new ones (50 us).
_COPIED_LINES = 8


def leave_logits(model: Any, output: str = "") -> None:
    """Make the input of the final softmax or log softmax the output: in bfloat16 it would not sum to one.

    Args:
        model: is changed.
        output: name of that output; empty for the only one.

    Raises:
        ValueError: the model does not end in one.
    """
    result = model.output(output).get_node() if len(model.outputs) > 1 else model.get_results()[0]
    final = result.input_value(0).get_node()
    while final.get_type_name() == "Transpose":  # it may put the time steps first
        final = final.input_value(0).get_node()
    if final.get_type_name() not in ("LogSoftmax", "Softmax"):
        raise ValueError(f"the model ends in {final.get_type_name()}, expected a softmax: bfloat16 needs its logits")
    for reader in final.output(0).get_target_inputs():
        reader.replace_source_output(final.input_value(0))


class Runtime(base.Runtime):
    """Runs an ``.openvino`` artifact. Shapes are static: a model is compiled in the first call at a batch size."""

    requires = ("openvino",)
    distributions = ("openvino",)
    anchor = "crnn.runtimes.anchors.openvino_anchor"
    throughput = True
    profiles = True

    def load(
        self, path: Path, device: str, *, precision: str = "f32", interface: Mapping[str, Any] | None = None
    ) -> None:
        """See the base class.

        Args:
            path: the artifact.
            device: see the base class.
            precision: one of ``PRECISIONS``, of layers that the file does not quantize. By default
                OpenVINO chooses, so it could be lower than asked for.
            interface: of a user's model, see ``base.Runtime.describes``.

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
        self.describes(interface)
        if precision == "bf16" and self.interface.values != LOGITS:
            leave_logits(self._model, self.interface.output)
            self.interface = replace(self.interface, values=LOGITS)
        self._requests: dict[int, tuple[Any, dict[str, np.ndarray], np.ndarray]] = {}

    @classmethod
    def unsupported(cls, device: str, **options: Any) -> str | None:
        """See the base class."""
        if options.get("precision") == "bf16" and features() and features().isdisjoint(_BFLOAT16):
            return "OpenVINO has no bfloat16 kernels for this processor: they need AVX512-BF16, AMX-BF16 or bf16 on ARM"
        return None

    def _request(self, size: int) -> tuple[Any, dict[str, np.ndarray], np.ndarray]:
        """The request for a batch size, compiled at its first use, and its tensors: inputs by name, output.

        Raises:
            RuntimeError: the plugin does not compute in the precision that was asked for.
        """
        if size not in self._requests:
            request = self._compiled(size).create_infer_request()
            inputs = {name: request.get_tensor(name).data for name in self.interface.shapes(size)}
            # The built-in model's only output may have lost its name.
            several = len(self._model.outputs) > 1
            output = request.get_tensor(self.interface.output) if several else request.get_output_tensor()
            self._requests[size] = request, inputs, output.data
        return self._requests[size]

    def _compiled(self, size: int, **settings: Any) -> Any:
        """The model, compiled for a batch size.

        Raises:
            RuntimeError: see ``_request``.
        """
        model = self._model.clone()
        model.reshape({name: list(shape) for name, shape in self.interface.shapes(size).items()})
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
        request, own, output = self._request(len(images))
        # A dictionary of arrays, OpenVINO's usual interface, costs 0.1 ms per call more than either.
        for name, array in self.interface.inputs(images, field).items():
            if len(images) <= _COPIED_LINES:
                np.copyto(own[name], array)
            else:
                request.set_tensor(name, self._openvino.Tensor(np.ascontiguousarray(array), shared_memory=True))
        request.infer(share_outputs=True)
        log_probs = self.interface.log_probs(output)
        return log_probs.copy() if np.shares_memory(log_probs, output) else log_probs

    def profile(self, images: np.ndarray, field: np.ndarray, calls: int) -> list[Operator]:
        """See the base class."""
        request = self._compiled(len(images), PERF_COUNT=True).create_infer_request()
        timed = []
        for _ in range(calls):
            request.infer(self.interface.inputs(images, field), share_inputs=True)
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
