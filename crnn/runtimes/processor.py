"""Features of this machine's processor that rows depend on."""

import functools
from pathlib import Path

# Needed by oneDNN for bfloat16. Without them PyTorch falls back to loops that take ten times as long as
# float32, and it has no kernel for the LSTM.
_X86_BFLOAT16, _ARM_BFLOAT16 = {"avx512bw", "avx512dq", "avx512vl"}, {"bf16"}


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
