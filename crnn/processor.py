"""Features of this machine's processor that rows depend on."""

import functools
import os
import platform
from collections.abc import Collection, Iterable
from pathlib import Path

# Needed by oneDNN for bfloat16. Without them PyTorch falls back to loops that take ten times as long as
# float32, and it has no kernel for the LSTM.
_X86_BFLOAT16, _ARM_BFLOAT16 = {"avx512bw", "avx512dq", "avx512vl"}, {"bf16"}

# What int8, bfloat16 and vector kernels are chosen by: the feature that the system reports, and its usual name.
_INSTRUCTION_SETS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "amx_int8": "AMX-INT8",
    "amx_bf16": "AMX-BF16",
    "asimd": "NEON",
    "sve": "SVE",
    "i8mm": "I8MM",
    "bf16": "BF16",
}

# Those with kernels for a precision, from the narrowest to the widest.
_KERNELS = {
    "int8": ("AVX2", "AVX-512", "AVX-VNNI", "AVX512-VNNI", "AMX-INT8", "NEON", "SVE", "I8MM"),
    "bf16": ("AVX2", "AVX-512", "AVX512-BF16", "AMX-BF16", "NEON", "SVE", "BF16"),
}

# Linux reports the length in bytes. Compiled code contains it: it only runs where vectors are as long.
_SVE_LENGTH = Path("/proc/sys/abi/sve_default_vector_length")


def usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def features() -> frozenset[str]:
    """The instruction set extensions that the system reports; empty if it reports none."""
    try:
        rows = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    named = (row.partition(":")[2] for row in rows if row.startswith(("flags", "Features")))
    return frozenset(" ".join(named).split())


def computes_bfloat16() -> bool:
    """Whether PyTorch has kernels for bfloat16 on this processor; True if the system does not tell."""
    found = features()
    return not found or found >= _X86_BFLOAT16 or found >= _ARM_BFLOAT16


def instruction_sets() -> tuple[str, ...]:
    """The instruction sets of this processor that speed depends on; empty if the system does not tell."""
    found = features()
    return tuple(name for feature, name in _INSTRUCTION_SETS.items() if feature in found)


def widest(precision: str, found: Collection[str]) -> str | None:
    """The widest of some instruction sets for a precision; None where speed hardly depends on them, as in float32.

    Args:
        precision: such as ``int8``.
        found: names that ``instruction_sets`` returned on some machine.
    """
    return next((name for name in reversed(_KERNELS.get(precision, ())) if name in found), None)


def machine_code() -> tuple[str, ...]:
    """What code that is compiled for this processor may use, such as ``("x86_64", "AVX2")``.

    The architecture, the instruction sets, and the length of SVE's vectors.
    """
    found = [platform.machine(), *instruction_sets()]
    if "SVE" in found:
        try:
            found.append(f"SVE vectors of {int(_SVE_LENGTH.read_text('ascii')) * 8} bits")
        except (OSError, ValueError):
            found.append("SVE vectors of unknown length")
    return tuple(found)


def cannot_run(compiled_for: Iterable[str]) -> str | None:
    """Why this processor cannot run code compiled on another one; None if it can.

    Args:
        compiled_for: what ``machine_code`` returned where the code was compiled.
    """
    needed, here = tuple(compiled_for), machine_code()
    if set(needed) <= set(here):
        return None
    return f"it was compiled for a processor with {', '.join(needed)}; this one has {', '.join(here)}"
