"""Number of threads of this process that compute at the same time, from the CPU time that each consumed."""

import time
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

from crnn.processor import usable_cores

# Threads of a pool consume about as much CPU time as each other: one with half of the busiest thread's computes.
_POOL_SHARE = 0.5
# One with less may do an uneven part of the work, or hand the work over and wait: it counts if it consumed a tenth,
# and only as far as more than one core was in use.
_LEAST_SHARE = 0.1
# The number of cores in use may be this much above a whole number: the two clocks are not read at the same moment.
_ROUNDING = 0.1


class Reading(NamedTuple):
    """CPU time of each thread so far, and the time of the reading, both in nanoseconds."""

    cpu: Mapping[int, int]
    at: int


def read_threads() -> Reading | None:
    """Read the CPU times of this process' threads; None if the system does not tell."""
    found = {}
    for task in Path("/proc/self/task").glob("*"):
        try:
            found[int(task.name)] = int((task / "schedstat").read_text("ascii").split()[0])
        except FileNotFoundError:
            # The thread has just ended, or the kernel does not keep these statistics.
            continue
    return Reading(found, time.monotonic_ns()) if found else None


def computing_threads(before: Reading | None, after: Reading | None) -> int | None:
    """Number of threads that computed at the same time between two readings; None if the system does not tell.

    A thread that ended in between is not counted; thread pools keep their threads.
    """
    if before is None or after is None:
        return None
    consumed = [cpu - before.cpu.get(thread, 0) for thread, cpu in after.cpu.items()]
    if not any(consumed):
        return 1  # too short to be seen: the thread that called
    cores = sum(consumed) / max(after.at - before.at, 1)
    pool, busy = (sum(cpu >= share * max(consumed) for cpu in consumed) for share in (_POOL_SHARE, _LEAST_SHARE))
    return min(busy, max(pool, ceil(cores - _ROUNDING)), usable_cores())


def most_threads(windows: Sequence[int | None]) -> int | None:
    """The largest number of threads in any window: in others the machine may have been busy with something else."""
    counted = [threads for threads in windows if threads is not None]
    return max(counted, default=None)
