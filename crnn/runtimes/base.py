"""The one interface of every engine, and how an engine is found.

Engine ``x`` is the class ``Runtime`` in ``crnn/runtimes/x_runtime.py``; a name with a
dot is a module of your own. It imports its framework inside ``load`` only, so naming
its needs costs nothing.
"""

import ctypes
import importlib
import importlib.util
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

DEVICES = ("auto", "cpu", "cuda")


def cuda_present() -> bool:
    """Whether this machine has a CUDA device with a working driver; asks the driver, no framework."""
    try:
        return ctypes.CDLL("libcuda.so.1").cuInit(0) == 0
    except OSError:
        return False


class Runtime(ABC):
    """An engine with an artifact loaded.

    Calling it is what is timed: layout changes, casts and device copies that a
    deployment would pay belong inside the call, whatever a deployment does once
    belongs into ``load``.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    """Modules that have to be installed."""

    requires_compiler: ClassVar[bool] = False
    """Whether it generates C++ and compiles it when it runs."""

    anchor: ClassVar[str] = "crnn.runtimes.anchors.onnx_anchor"
    """The fixed workload that drifts as this engine does, see ``crnn/runtimes/anchors``."""

    threads: int | None = None
    """How many threads to compute with; None: as many as the engine takes by default. Set before ``load``."""

    @abstractmethod
    def load(self, path: Path, device: str, **options: Any) -> None:
        """Make ready to be called.

        Args:
            path: the artifact, already verified.
            device: ``auto`` takes an accelerator where there is one.
            options: the variant's own, from the registry.

        Raises:
            RuntimeError: the device is not there.
        """

    @abstractmethod
    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Read a batch; everything is finished when the call returns.

        Args:
            images: float32 (B, 32, 400) in [0, 1].
            field: float32 (B, 50, 2).

        Returns:
            Log probabilities float32 (B, 50, C).
        """

    @abstractmethod
    def parameters(self) -> Iterable[np.ndarray]:
        """Every stored parameter of the loaded artifact, as its framework counts them."""

    @abstractmethod
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions, LSTMs and linear layers for one line."""

    @abstractmethod
    def describe(self) -> dict[str, str | int]:
        """``engine`` (name and version), ``device`` and ``threads`` that this process really uses."""


def runtime_class(name: str) -> type[Runtime]:
    """The engine of that name.

    Raises:
        LookupError: there is no such engine.
    """
    module = name if "." in name else f"crnn.runtimes.{name}_runtime"
    if importlib.util.find_spec(module) is None:
        raise LookupError(f"no runtime {name!r}: there is no module {module}")
    return importlib.import_module(module).Runtime


def missing(name: str, modules: Iterable[str] = ()) -> list[str]:
    """What the engine, and further modules, need and this environment lacks; nothing is imported to tell."""
    engine = runtime_class(name)
    lacking = [module for module in (*engine.requires, *modules) if importlib.util.find_spec(module) is None]
    if engine.requires_compiler and not shutil.which(os.environ.get("CXX", "g++")):
        lacking.append("a C++ compiler (g++, or $CXX)")
    return lacking
