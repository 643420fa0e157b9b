"""OpenVINO's CPU plugin: one compiled model per batch size."""

from pathlib import Path
from typing import Any

import numpy as np

from crnn.processor import features, usable_cores
from crnn.runtimes import base

PRECISIONS = ("f32", "bf16")
# Below these, the plugin computes bfloat16 layers in float32 or converts in software.
_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")


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
        self._requests: dict[int, Any] = {}

    @classmethod
    def unsupported(cls, device: str, **options: Any) -> str | None:
        """See the base class."""
        if options.get("precision") == "bf16" and features() and features().isdisjoint(_BFLOAT16):
            return "OpenVINO has no bfloat16 kernels for this processor: they need AVX512-BF16, AMX-BF16 or bf16 on ARM"
        return None

    def _request(self, size: int) -> Any:
        """The request for a batch size, compiled at its first use.

        Raises:
            RuntimeError: the plugin does not compute in the precision that was asked for.
        """
        if size not in self._requests:
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
                },
            )
            computed = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
            if computed != self._precision:
                raise RuntimeError(f"OpenVINO computes in {computed} where {self._precision} is asked for")
            self._requests[size] = compiled.create_infer_request()
        return self._requests[size]

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        request = self._request(len(images))
        outputs = request.infer({"images": images, "field": field}, share_inputs=True)[0]
        return log_softmax(outputs) if self._precision == "bf16" else outputs

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"OpenVINO {self._openvino.__version__.partition('-')[0]}", "device": "cpu"}
