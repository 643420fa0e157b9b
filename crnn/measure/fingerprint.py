"""The fingerprint of machine and environment: what latency depends on besides the code.

It is saved with a run. Latencies with different fingerprints are not compared. ``FIELDS`` lists
what makes two machines unlike. It holds nothing that changes by itself, such as the current
frequency or free memory, and no host name.
"""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from crnn import __version__
from crnn.runtimes.base import engine_names, runtime_class

# Environment variables that control thread pools and kernels.
_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
             "TF_NUM_INTEROP_THREADS", "TF_ENABLE_ONEDNN_OPTS", "KMP_AFFINITY", "GLIBC_TUNABLES")  # fmt: skip


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8", errors="replace").strip()
    except OSError:
        return None


def _accelerator() -> str | None:
    """Model and driver of the first CUDA device, from the driver's own files."""
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    driver = (_read("/proc/driver/nvidia/version") or "").splitlines()
    if not cards:
        return None
    model = next((row for row in (_read(str(cards[0])) or "").splitlines() if row.startswith("Model")), "unknown")
    return f"{' '.join(model.split())}; {driver[0] if driver else 'driver unknown'}"


def distributions() -> tuple[str, ...]:
    """The packages whose versions affect latency: numpy and those of every engine."""
    return tuple(
        sorted({"numpy", *(name for engine in engine_names() for name in runtime_class(engine).distributions)})
    )


def _version(distribution: str) -> str | None:
    """The public version: the same release from two indexes, ``2.13.0`` and ``2.13.0+cpu``, counts as one."""
    try:
        return importlib.metadata.version(distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    rows = (_read("/proc/cpuinfo") or "").splitlines()
    # The name alone is not enough: virtual machines give a whole generation one name.
    keys = ("model name", "cpu family", "model", "stepping")
    found = {name.strip(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
    return ", ".join(found[key] for key in keys if key in found) or platform.processor()


def _settings() -> dict[str, str]:
    return {name: os.environ[name] for name in _SETTINGS if name in os.environ}


def _versions() -> dict[str, str]:
    return {name: version for name in distributions() if (version := _version(name))}


FIELDS: Mapping[str, Callable[[], Any]] = {
    "cpu": _cpu_model,
    "architecture": platform.machine,
    "system": platform.system,
    "cores": lambda: len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    "governor": lambda: _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    "accelerator": _accelerator,
    "settings": _settings,
    "python": platform.python_version,
    "versions": _versions,
    "suite": lambda: __version__,
}
"""What makes two machines unlike: each field, and how it is read."""


def fingerprint() -> dict[str, Any]:
    """The fingerprint of this machine and environment."""
    return {name: read() for name, read in FIELDS.items()}


def differing(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The fields that differ, with both values, such as ``cores (2, 4)``; nested fields by their path."""
    found = []
    for name in sorted(one.keys() | other.keys()):
        before, after = one.get(name), other.get(name)
        if prefix == "versions." and before and after:
            # Runs of older versions of the suite saved the local part too.
            before, after = (version.partition("+")[0] for version in (before, after))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differing(before, after, f"{prefix}{name}.")
        elif before != after:
            found.append(f"{prefix}{name} ({before}, {after})")
    return found
