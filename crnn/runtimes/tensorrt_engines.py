"""TensorRT for ONNX Runtime: its libraries, and the folder in which its engines are kept.

ONNX Runtime's package has the provider, but not TensorRT itself. An engine fits one GPU, one driver, one TensorRT
and one graph, so the folder's name holds all of them: an engine of anything else is never found.
"""

import ctypes
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

CACHE = "CRNN_TENSORRT_CACHE"
"""Environment variable: the folder of all engines."""

_LINKED = re.compile(rb"lib(?:nvinfer|nvonnxparser)\.so\.\d+")
# Module of the package that holds TensorRT's libraries.
_PACKAGE = "tensorrt_libs"


def provider_library(provider: str) -> Path | None:
    """The file of one of ONNX Runtime's providers, ``cuda`` or ``tensorrt``; None if the package lacks it."""
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / "capi" / f"libonnxruntime_providers_{provider}.so"
    return file if file.exists() else None


def linked(provider: Path) -> tuple[str, ...]:
    """TensorRT's libraries that the provider is linked to, such as ``libnvinfer.so.10``, in the order of loading."""
    return tuple(sorted({name.decode() for name in _LINKED.findall(provider.read_bytes())}))


def _places(library: str) -> Iterator[str]:
    """Where a library is looked for: where the system's loader does, then in TensorRT's own package."""
    yield library
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        yield str(Path(folder) / library)


def _opened(library: str) -> ctypes.CDLL:
    """A library of TensorRT, loaded into this process.

    Raises:
        RuntimeError: it is in none of the places.
    """
    errors = []
    for place in _places(library):
        try:
            return ctypes.CDLL(place, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            errors.append(str(error))
    raise RuntimeError(
        f"TensorRT's {library} cannot be loaded ({'; '.join(errors)}): install the package tensorrt of this major "
        "version, or add the library's folder to LD_LIBRARY_PATH"
    )


def _libraries() -> dict[str, ctypes.CDLL]:
    """The libraries that ONNX Runtime's TensorRT provider needs, by name, loaded into this process.

    Raises:
        RuntimeError: one is missing, or the package has no such provider.
    """
    provider = provider_library("tensorrt")
    if provider is None:
        raise RuntimeError("this ONNX Runtime has no TensorRT provider: the package onnxruntime-gpu has one")
    return {library: _opened(library) for library in linked(provider)}


def absence() -> str | None:
    """Why ONNX Runtime cannot use TensorRT here; None if it can. Loads TensorRT's libraries into this process."""
    try:
        _libraries()
    except RuntimeError as error:
        return str(error)
    return None


def parts_of(number: int) -> tuple[int, int, int]:
    """Major, minor and patch of a version as TensorRT 10 and later return it, such as 101303."""
    return number // 10000, number // 100 % 100, number % 100


def version() -> tuple[int, int, int]:
    """TensorRT's version, from its library: major, minor, patch.

    Raises:
        RuntimeError: TensorRT cannot be used here.
    """
    return next(parts_of(opened.getInferLibVersion()) for name, opened in _libraries().items() if "nvinfer" in name)


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on.

    Attributes:
        device: name of the GPU.
        capability: its compute capability.
        driver: release of the driver.
        tensorrt: version of TensorRT.
        onnxruntime: version of ONNX Runtime, which cuts the graph.
        artifact_sha256: of the graph.
        precision: ``fp32`` or ``fp16``.
        profile: the options that give the range of shapes.
    """

    device: str
    capability: str
    driver: str
    tensorrt: str
    onnxruntime: str
    artifact_sha256: str
    precision: str
    profile: Mapping[str, str]

    def folder(self, root: Path) -> Path:
        """The folder of this engine; the GPU's name is readable, the rest is in a digest."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        readable = re.sub(r"[^a-z0-9]+", "-", f"{self.device}-sm{self.capability}-trt{self.tensorrt}".lower())
        return root / f"{readable}-{digest[:16]}"

    def prepared(self, root: Path) -> Path:
        """The folder, which now exists, with the key written into it for people who look."""
        folder = self.folder(root)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "key.json").write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n", "utf-8")
        return folder


def root() -> Path:
    """The folder of all engines: ``$CRNN_TENSORRT_CACHE``, else a part of the suite's cache."""
    from crnn.artifacts import cache_folder

    return Path(os.environ.get(CACHE) or cache_folder() / "tensorrt")


def engines(folder: Path) -> dict[str, int]:
    """The engines in a folder, with their times of modification in ns: another reading shows which were built."""
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.engine")}
