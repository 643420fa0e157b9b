"""ONNX Runtime."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from crnn.runtimes import base, cuda, onnx_profile, onnx_providers, tensorrt_engines
from crnn.runtimes.onnx_providers import CUDA, PRECISIONS, PROVIDERS
from crnn.runtimes.operators import Operator

_CPU = "CPUExecutionProvider"


class Runtime(base.Runtime):
    """Runs an ``.onnx`` artifact."""

    requires = ("onnx", "onnxruntime")
    distributions = ("onnxruntime", "onnxruntime-gpu", "tensorrt")
    anchor = "crnn.runtimes.anchors.onnx_anchor"
    throughput = True
    profiles = True

    def load(
        self,
        path: Path,
        device: str,
        *,
        provider: str = "default",
        precision: str = "fp32",
        interface: Mapping[str, Any] | None = None,
    ) -> None:
        """See the base class.

        Args:
            path: the artifact.
            device: see the base class.
            provider: one of ``PROVIDERS``. ``default`` is CUDA or the CPU, as ``device`` says; the others never
                run elsewhere.
            precision: one of ``PRECISIONS``; with ``fp16`` TensorRT computes in half precision.
            interface: of a user's model, see ``base.Runtime.describes``.

        Raises:
            RuntimeError: the device or the provider is not there.
            ValueError: an unknown provider or precision, or ``fp16`` without TensorRT.
        """
        self._check(provider, precision)
        self.describes(interface)
        if reason := self.unsupported(device, provider=provider, precision=precision):
            raise RuntimeError(reason)
        if provider == "tensorrt" and precision == "fp32":
            # The provider has no option for TF32, which TensorRT uses by default; it reads this when it builds.
            os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
        import onnxruntime

        self._onnxruntime, self._path = onnxruntime, path
        settings = self._settings()
        self._largest: int | None = None
        self._tensorrt = ""
        if provider == "default":
            self._session = self._default_session(path, device, settings)
        elif provider == "cuda":
            self._preload()
            providers = onnx_providers.provider_list("cuda")
            self._session = onnx_providers.session_on(onnxruntime, path, settings, providers)
        else:
            self._session = self._tensorrt_session(path, precision, settings)
        self._provider = self._session.get_providers()[0]
        self._outputs = [self.interface.output] if self.interface.output else None

    def _settings(self) -> Any:
        """The session's options: the number of threads."""
        settings = self._onnxruntime.SessionOptions()
        if self.threads:
            settings.intra_op_num_threads = settings.inter_op_num_threads = self.threads
        return settings

    @staticmethod
    def _check(provider: str, precision: str) -> None:
        for what, given, known in (("provider", provider, PROVIDERS), ("precision", precision, PRECISIONS)):
            if given not in known:
                raise ValueError(f"no {what} {given!r}; there are: {', '.join(known)}")
        if precision == "fp16" and provider != "tensorrt":
            raise ValueError(f"precision fp16 needs provider tensorrt: {provider} takes the precision from the graph")

    @classmethod
    def unsupported(cls, device: str, **options: Any) -> str | None:
        """See the base class."""
        provider = options.get("provider", "default")
        if provider == "default":
            return None
        if reason := cuda.refusal(device):
            return reason
        if tensorrt_engines.provider_library("cuda") is None:
            return "this ONNX Runtime has no CUDA provider: the package onnxruntime-gpu has one"
        return tensorrt_engines.absence() if provider == "tensorrt" else None

    def _preload(self) -> None:
        """Load the libraries of CUDA from NVIDIA's Python packages, where they are installed."""
        self._onnxruntime.preload_dlls()

    def _default_session(self, path: Path, device: str, settings: Any) -> Any:
        """A session on CUDA or the CPU."""
        if device == "auto":
            offered = CUDA in self._onnxruntime.get_available_providers()
            device = "cuda" if offered and base.cuda_present() else "cpu"
        providers: list[Any] = [_CPU]
        if device == "cuda":
            self._preload()
            providers = [*onnx_providers.provider_list("cuda"), _CPU]
        session = self._onnxruntime.InferenceSession(str(path), settings, providers=providers)
        # An available provider may still fail to start: only the session tells what it runs on.
        if device == "cuda" and session.get_providers()[0] != CUDA:
            raise RuntimeError("--device cuda: ONNX Runtime cannot start its CUDA provider")
        return session

    def _tensorrt_session(self, path: Path, precision: str, settings: Any) -> Any:
        """A session on TensorRT; its engine is built now, or read if this machine built it before.

        Raises:
            RuntimeError: TensorRT does not start, or took no part of the graph.
        """
        import onnx

        from crnn.artifacts import sha256_of

        graph = onnx.load(path, load_external_data=False).graph
        inputs = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]] for value in graph.input}
        version, gpu = tensorrt_engines.version(), cuda.first_device()
        self._tensorrt = ".".join(map(str, version))
        key = tensorrt_engines.EngineKey(
            gpu.name,
            gpu.capability,
            gpu.driver,
            self._tensorrt,
            self._onnxruntime.__version__,
            sha256_of(path),
            precision,
            onnx_providers.profile(inputs),
        )
        folder = key.prepared(tensorrt_engines.root())
        self._preload()
        with contextlib.suppress(ImportError):
            # Where TensorRT is a Python package, that package finds the libraries that TensorRT loads later.
            import tensorrt  # noqa: F401 imported for this effect
        options = onnx_providers.tensorrt_options(inputs, precision, folder, version[0])
        before = tensorrt_engines.engines(folder)
        providers = onnx_providers.provider_list("tensorrt", options)
        session = onnx_providers.session_on(self._onnxruntime, path, settings, providers)
        after = tensorrt_engines.engines(folder)
        if not after:
            raise RuntimeError(f"TensorRT took no part of {path.name}: it built no engine in {folder}")
        self.built, self._largest = after != before, onnx_providers.LARGEST_BATCH
        return session

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class.

        Raises:
            ValueError: more lines than the TensorRT engine was built for.
        """
        if self._largest and len(images) > self._largest:
            raise ValueError(f"a batch of {len(images)}: the TensorRT engine is built for at most {self._largest}")
        [output] = self._session.run(self._outputs, self.interface.inputs(images, field))
        return self.interface.log_probs(output)

    def profile(self, images: np.ndarray, field: np.ndarray, calls: int) -> list[Operator]:
        """See the base class; empty on a GPU.

        TensorRT does not tell ONNX Runtime what it runs, and the CUDA provider's nodes only start kernels,
        so that their times say nothing.
        """
        if not base.is_cpu(self._provider):
            return []
        with TemporaryDirectory() as folder:
            settings = self._settings()
            settings.enable_profiling, settings.profile_file_prefix = True, f"{folder}/profile"
            session = self._onnxruntime.InferenceSession(str(self._path), settings, providers=[_CPU])
            for _ in range(calls):
                session.run(self._outputs, self.interface.inputs(images, field))
            return onnx_profile.operators(Path(session.end_profiling()).read_text("utf-8"))

    def describe(self) -> dict[str, str]:
        """See the base class."""
        tensorrt = f" TensorRT {self._tensorrt}" if self._tensorrt else ""
        return {"engine": f"ONNX Runtime {self._onnxruntime.__version__}{tensorrt}", "device": self._provider}
