"""The CUDA device of this machine, as its driver reports it; imports no framework."""

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DRIVER = "libcuda.so.1"
# CUdevice_attribute of the driver's interface: the two parts of the compute capability.
_CAPABILITY = (75, 76)


def absence() -> str | None:
    """Why this machine has no CUDA device that works; None if it has one."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return f"no CUDA device: the driver's {_DRIVER} cannot be loaded"
    if code := driver.cuInit(0):
        return f"no CUDA device: the driver's cuInit returns {code}"
    return None


def refusal(device: str) -> str | None:
    """Why a row that runs on CUDA only cannot run here; None if it can.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    if device == "cpu":
        return "it runs on CUDA only, and --device cpu was given"
    return absence()


@dataclass(frozen=True)
class Device:
    """The first visible CUDA device.

    Attributes:
        name: such as ``NVIDIA L4``.
        capability: its compute capability, such as ``8.9``.
        driver: release of the driver and the CUDA version that it supports.
    """

    name: str
    capability: str
    driver: str


def _release() -> str:
    """Release of the driver, such as ``580.65.06``; ``unknown`` if the system does not tell."""
    try:
        version = Path("/proc/driver/nvidia/version").read_text("utf-8", errors="replace")
    except OSError:
        return "unknown"
    found = re.search(r"\d+\.\d+(\.\d+)?", version)
    return found[0] if found else "unknown"


def _call(driver: Any, function: str, *arguments: Any) -> None:
    if code := getattr(driver, function)(*arguments):
        raise RuntimeError(f"the CUDA driver's {function} returns {code}")


def first_device() -> Device:
    """The device that engines use.

    Raises:
        RuntimeError: there is none, or the driver does not describe it.
    """
    if reason := absence():
        raise RuntimeError(reason)
    driver, device = ctypes.CDLL(_DRIVER), ctypes.c_int()
    name, number = ctypes.create_string_buffer(256), ctypes.c_int()
    _call(driver, "cuDeviceGet", ctypes.byref(device), 0)
    _call(driver, "cuDeviceGetName", name, len(name), device)
    parts = []
    for attribute in _CAPABILITY:
        _call(driver, "cuDeviceGetAttribute", ctypes.byref(number), attribute, device)
        parts.append(str(number.value))
    _call(driver, "cuDriverGetVersion", ctypes.byref(number))
    supported = f"{number.value // 1000}.{number.value % 1000 // 10}"
    return Device(name.value.decode(), ".".join(parts), f"{_release()}, CUDA {supported}")
