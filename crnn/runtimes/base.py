"""The interface of every engine, and how an engine is found.

Engine ``x`` is the class ``Runtime`` in ``crnn/runtimes/x_runtime.py``. Other packages declare engines as entry points
of the group ``crnn.runtimes``; the name of any other module stands for its class ``Runtime``. An engine imports its
framework only inside ``load``, so importing its file is cheap.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from crnn.interface import BUILT_IN, Interface
from crnn.runtimes import cuda
from crnn.runtimes.operators import Operator

DEVICES = ("auto", "cpu", "cuda")
GROUP = "crnn.runtimes"
"""The group of entry points that give engines: a class, or a module with a class ``Runtime``."""


def cuda_present() -> bool:
    """Whether this machine has a CUDA device with a working driver; asks the driver, imports no framework."""
    return cuda.absence() is None


def is_cpu(device: str) -> bool:
    """Whether an engine whose ``describe`` names this device runs on the CPU."""
    return "cpu" in device.lower()


class Runtime(ABC):
    """An engine with a loaded artifact.

    The call is timed. Layout changes, casts and device copies that a deployment pays per call
    belong in the call; what a deployment does once belongs in ``load``.

    Attributes:
        requires: modules that have to be installed.
        distributions: packages whose versions affect the engine's speed; part of the fingerprint.
        requires_compiler: whether the engine generates C++ and compiles it when it runs.
        anchor: module of the fixed workload that it is paired with, see ``crnn/runtimes/anchors``; an
            anchor on the same framework drifts most alike.
        throughput: whether two workers at once are measured too: servers run this engine on the CPU.
        profiles: whether it tells which operators it ran, see ``profile``.
        threads: number of threads, set before ``load``; None for the engine's default.
        built: whether this load built what later loads read from a cache, and so took longer than theirs.
        interface: what the loaded model takes and returns.
    """

    requires: ClassVar[tuple[str, ...]]
    distributions: ClassVar[tuple[str, ...]]
    requires_compiler: ClassVar[bool] = False
    anchor: ClassVar[str] = "crnn.runtimes.anchors.onnx_anchor"
    throughput: ClassVar[bool] = False
    profiles: ClassVar[bool] = False
    threads: int | None = None
    built: bool = False
    interface: Interface = BUILT_IN

    def describes(self, interface: Mapping[str, Any] | None) -> None:
        """Take the description of a user's model, see ``Interface.of``; None for one of this project's."""
        if interface is not None:
            self.interface = Interface.of(interface)

    # An engine's own options are keyword-only parameters of its ``load``; ``check_options`` reads them there.
    load: Any
    """Load an artifact: ``load(path, device, *, option=default, ...)``.

    ``path`` is the artifact, already verified. ``device`` is one of ``DEVICES``; ``auto`` takes an
    accelerator where there is one. Raises RuntimeError if the device is not there.
    """

    @classmethod
    def unsupported(cls, device: str, **options: Any) -> str | None:
        """Why this machine cannot run the engine with these options; None if it can.

        A package from the registry is not a reason, see ``missing``: rows that lack one fail with ``--require``.
        """
        return None

    @abstractmethod
    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Read a batch; all work is finished when the call returns.

        Args:
            images: float32 (B, H, W) in [0, 1].
            field: float32 (B, T, 2).

        Returns:
            Log probabilities float32 (B, T, C), the blank first.
        """

    def profile(self, images: np.ndarray, field: np.ndarray, calls: int) -> list[Operator]:
        """The operators that it runs for a batch, timed by its own profiler; empty if it does not tell.

        Args:
            images: as in a call.
            field: as in a call.
            calls: number of profiled calls.
        """
        return []

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """``engine`` (name and version) and ``device``, as this process actually uses them."""


class TextRuntime(Runtime):
    """An engine whose recognizer returns texts, not log probabilities: attention decoders, transformers, programs."""

    @abstractmethod
    def read(self, images: np.ndarray) -> list[str]:
        """Read a batch of lines; all work is finished when the call returns.

        Args:
            images: float32 (B, H, W) in [0, 1].

        Returns:
            B texts.
        """

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """The texts as an object array (B,); there is no line's kind to tell."""
        return np.array(self.read(images), object)


def runtime_class(name: str) -> type[Runtime]:
    """The engine of that name.

    Raises:
        LookupError: there is no such engine.
    """
    own = f"crnn.runtimes.{name}_runtime"
    if "." not in name and importlib.util.find_spec(own) is not None:
        return importlib.import_module(own).Runtime
    if "." not in name and (points := importlib.metadata.entry_points(group=GROUP, name=name)):
        found = next(iter(points)).load()
        return getattr(found, "Runtime", found)
    if importlib.util.find_spec(name) is None:
        raise LookupError(f"no runtime {name!r}: there is no module {own} or {name}, and no entry point in {GROUP}")
    return importlib.import_module(name).Runtime


def engine_names() -> tuple[str, ...]:
    """The names of all engines of this package, sorted."""
    return tuple(sorted(path.stem.removesuffix("_runtime") for path in Path(__file__).parent.glob("*_runtime.py")))


def missing(name: str, modules: Iterable[str] = ()) -> list[str]:
    """Requirements of the engine, and further modules, that this environment lacks; imports none of them."""
    engine = runtime_class(name)
    lacking = [module for module in (*engine.requires, *modules) if importlib.util.find_spec(module) is None]
    return lacking + missing_compiler() if engine.requires_compiler else lacking


def missing_compiler() -> list[str]:
    """The C++ compiler, as a requirement that this environment lacks; empty if there is one."""
    return [] if shutil.which(os.environ.get("CXX", "g++")) else ["a C++ compiler (g++, or $CXX)"]
