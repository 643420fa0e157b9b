"""How many threads of this process compute, from the CPU time that each consumed."""

from collections.abc import Mapping
from pathlib import Path

# A thread counts if it consumed at least this share of the busiest thread's CPU time: a pool's threads
# consume nearly as much as each other, one that hands over the work or waits for it consumes little.
_SHARE = 0.1


def cpu_ns_by_thread() -> dict[int, int] | None:
    """Nanoseconds of CPU time that each thread has consumed so far; None where the system does not tell."""
    found = {}
    for task in Path("/proc/self/task").glob("*"):
        try:
            found[int(task.name)] = int((task / "schedstat").read_text("ascii").split()[0])
        except FileNotFoundError:
            # The thread has just ended, or the kernel keeps no such statistics.
            continue
    return found or None


def computing_threads(before: Mapping[int, int] | None, after: Mapping[int, int] | None) -> int | None:
    """How many threads computed between two readings; None where the system does not tell.

    A thread that ended in between is not seen; pools keep theirs.
    """
    if before is None or after is None:
        return None
    consumed = [after[thread] - before.get(thread, 0) for thread in after]
    return sum(share >= _SHARE * max(consumed) for share in consumed)
