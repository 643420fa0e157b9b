"""ONNX Runtime's providers on a GPU: their options, written out, and the check that the session uses them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
NAMES = {"cuda": CUDA, "tensorrt": TENSORRT}
PROVIDERS = ("default", *NAMES)
PRECISIONS = ("fp32", "fp16")

# Float32 means float32: by default the provider rounds the factors of products to TF32, with 10 bits.
CUDA_OPTIONS = {"use_tf32": "0"}

# TensorRT tunes kernels for the middle shape; other batch sizes within the range run with the same kernels.
SMALLEST_BATCH, TUNED_BATCH, LARGEST_BATCH = 1, 32, 128

Provider = tuple[str, dict[str, str]]


def profile(inputs: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The options that give the range of batch sizes; with them the engine is built when the session starts.

    Args:
        inputs: names of the inputs, with the shape of one line.
    """

    def shapes(size: int) -> str:
        return ",".join(f"{name}:{'x'.join(map(str, (size, *shape)))}" for name, shape in inputs.items())

    sizes = {"min": SMALLEST_BATCH, "opt": TUNED_BATCH, "max": LARGEST_BATCH}
    return {f"trt_profile_{end}_shapes": shapes(size) for end, size in sizes.items()}


def tensorrt_options(
    inputs: Mapping[str, Sequence[int]], precision: str, folder: Path, tensorrt_major: int
) -> dict[str, str]:
    """The options of the TensorRT provider.

    Args:
        inputs: names of the inputs, with the shape of one line.
        precision: ``fp32``, or ``fp16`` for a graph whose tensors are float16.
        folder: for engines and timings of kernels.
        tensorrt_major: major version. TensorRT 11 takes the precision from the graph and has no flag for
            it; TensorRT 10 refuses float16 tensors without the flag.
    """
    kept = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }
    flagged = {"trt_fp16_enable": "1"} if precision == "fp16" and tensorrt_major < 11 else {}
    return kept | profile(inputs) | flagged


def provider_list(provider: str, tensorrt: Mapping[str, str] | None = None) -> list[Provider]:
    """The providers of a session that runs on a GPU only.

    TensorRT leaves what it cannot compute to the CUDA provider. The CPU's provider is not in the list.

    Args:
        provider: ``cuda`` or ``tensorrt``.
        tensorrt: options of the TensorRT provider.
    """
    cuda = (CUDA, dict(CUDA_OPTIONS))
    return [(TENSORRT, dict(tensorrt or {})), cuda] if provider == "tensorrt" else [cuda]


def session_on(onnxruntime: Any, path: Path, settings: Any, providers: Sequence[Provider]) -> Any:
    """A session on the first of these providers, or an error: never one that runs elsewhere.

    Args:
        onnxruntime: the module.
        path: the graph.
        settings: ``onnxruntime.SessionOptions``; changed.
        providers: see ``provider_list``.

    Raises:
        RuntimeError: the session does not start, a node would run on the CPU, or the session reports another provider.
    """
    asked = providers[0][0]
    settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        # The Python package would retry with other providers, now and in each call.
        session = onnxruntime.InferenceSession(str(path), settings, providers=list(providers), enable_fallback=0)
    except Exception as error:  # ONNX Runtime's errors have no common base class of their own
        raise RuntimeError(f"ONNX Runtime cannot start {asked}: {error}") from error
    used = session.get_providers()[0]
    if used != asked:
        raise RuntimeError(f"the session runs on {used} where {asked} is asked for: are the libraries of CUDA there?")
    session.disable_fallback()
    return session
