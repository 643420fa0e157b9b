"""Pairs of fresh processes: a variant and its anchor, or the same variant at two commits.

Latency differs more from process to process (memory layout, load of the host) than from call
to call, so a process is one sample. At the setting ``ONE_THREAD`` both workers of a pair compute
with one thread on the same core, which halves the spread again, see ``benchmarks/README.md``. At
``deployment`` settings they compute as the rows of the table do.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Self

from crnn.corpus.lines import Lines
from crnn.measure.latency import Plan, Side, run_pairs, undisturbed_ratio, unwatched, warm_up
from crnn.measure.pace import Pace, Probe
from crnn.measure.workload import LIMIT_S, Workload
from crnn.registry.variant import Variant
from crnn.runtimes import anchors
from crnn.runtimes.base import missing, runtime_class
from crnn.runtimes.process import WorkerError, WorkerProcess

# Libraries that start a thread pool at import read one of these.
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@dataclass(frozen=True)
class Setting:
    """How both workers of a pair compute, and how they are timed.

    Attributes:
        batch_sizes: lines per call, ascending.
        plan: of the timed calls.
        threads: number of threads of each worker, which share a core then; None: the engine's default, on all cores.
        starts: number of pairs of processes whose loading and first call count, at most; the first is timed further.
        loads_apart: whether one loads after the other, so that loading can be compared. It has no part in the text,
            which says under which settings calls compare.
    """

    batch_sizes: tuple[int, ...]
    plan: Plan
    threads: int | None = None
    starts: int = 1
    loads_apart: bool = field(default=False, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the workers."""
        return {name: str(self.threads) for name in _THREADS} if self.threads else {}


# Models that load in a few hundredths of a second are started several times: one loading varies by a quarter.
_STARTS_S = 1.0

# Blocks, not single calls: on one core each worker finds the caches as the other one left them, and the ratio would
# depend on which of the two began.
ONE_THREAD = Setting((1,), Plan(warmup_s=0.1, pairs=12, block_s=0.03, settles=False, repeats=12), threads=1)


def deployment(largest: int) -> Setting:
    """All cores and default thread pools, with one line per call and at the largest batch size."""
    plan = Plan(warmup_s=0.1, pairs=2, block_s=0.03, most_pairs=6, budget_s=0.5, repeats=10)
    return Setting(tuple(sorted({1, largest})), plan, starts=4, loads_apart=True)


@dataclass(frozen=True)
class Pair:
    """One pair of fresh processes; each ratio is a value of the first / the same of the second.

    Attributes:
        calls: of seconds per call, median over paired blocks, by batch size.
        first_calls: of the first call, by batch size.
        load: of seconds to load, imports included; median over ``Setting.starts``.
        start: of loading and the first call together, likewise: by itself a first call of milliseconds varies many
            times over.
        sides: the first worker at each batch size, with the outputs of its timed calls.
        disturbed: whether at one of the batch sizes all pairs of blocks were measured at a slow pace, see ``pace``.
    """

    calls: dict[int, float]
    first_calls: dict[int, float]
    load: float
    start: float
    sides: list[Side]
    disturbed: bool = False

    @property
    def ratio(self) -> float:
        """Of seconds per call, at the smallest batch size."""
        return self.calls[min(self.calls)]

    @property
    def seconds(self) -> list[float]:
        """Of the first worker's timed calls at the smallest batch size."""
        return [second for block in self.sides[0].blocks for second in block]


def can_pin() -> bool:
    """Whether this system lets another process be kept on one core."""
    return hasattr(os, "sched_setaffinity") and Path("/proc/self/task").exists()


def gate_core() -> int:
    """The core that both workers share: the last usable one, because the first serves most interrupts."""
    return max(os.sched_getaffinity(0))


def _count_threads(workers: Sequence[WorkerProcess], setting: Setting) -> None:
    """Check that each worker computes with as many threads as it was asked to."""
    for worker in workers:
        threads = worker.ask("threads", setting.batch_sizes[0])
        if threads is not None and threads != setting.threads:
            raise WorkerError(f"{worker.name}: {threads} threads compute, {setting.threads} was asked for")


def _load(
    workers: Sequence[WorkerProcess], requests: Sequence[tuple[Any, ...]], setting: Setting, order: int
) -> list[float]:
    """Load both; returns the seconds of each, imports included."""
    if not setting.loads_apart:
        for worker, request in zip(workers, requests, strict=True):
            worker.begin("load", *request)
        return [worker.finish()["load_s"] for worker in workers]
    # At the same time, the two disturb each other now more and now less.
    for worker in workers:
        worker.ask("memory")  # it has started
    found = [0.0, 0.0]
    for place in (0, 1) if order % 2 == 0 else (1, 0):
        found[place] = workers[place].ask("load", *requests[place])["load_s"]
    return found


def anchor_of(variant: Variant, setting: Setting) -> str:
    """Module of the anchor: at one thread a small model has one that fits in a core's caches too."""
    if variant.small and setting.threads and not missing(anchors.SMALL):
        return anchors.SMALL
    return runtime_class(variant.runtime).anchor


def slowed_alike(variant: Variant) -> bool:
    """Whether a slow pace of the machine slows a variant down as much as its anchor, a float32 model."""
    return variant.precision == "fp32" and not variant.small


def called_as(workload: Workload, setting: Setting) -> str:
    """Names a worker's calls, and how they are made, for ``Pace``."""
    return f"{workload.name} {workload.runtime} {setting.threads}"


class _Start(NamedTuple):
    """How one pair of processes started.

    Attributes:
        load: seconds to load the first model / the second.
        start: the same, with the first call.
        seconds: of both together.
    """

    load: float
    start: float
    seconds: float

    @classmethod
    def of(cls, loads: Sequence[float], sides: Sequence[Side]) -> Self:
        """From the seconds of loading, and both workers after their first call."""
        starts = [load + side.untimed[0] for load, side in zip(loads, sides, strict=True)]
        return cls(loads[0] / loads[1], starts[0] / starts[1], sum(starts))


@contextmanager
def loaded(
    workloads: Sequence[Workload],
    lines: Lines,
    setting: Setting,
    *,
    device: str = "cpu",
    order: int = 0,
    limit_s: float = LIMIT_S,
    counts_threads: bool = True,
) -> Iterator[tuple[list[WorkerProcess], list[float]]]:
    """Both workers of a pair, which hold their models and the lines, and the seconds that loading took.

    Arguments and errors: see ``measure``.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(workload.process(limit_s, setting.environment)) for workload in workloads]
        requests = [workload.load_request(device, setting.threads) for workload in workloads]
        loads = _load(workers, requests, setting, order)
        for worker, workload in zip(workers, workloads, strict=True):
            worker.ask("keep", *lines.at(workload.frame))
        # Count before pinning: on one core a second thread would not show.
        if setting.threads and counts_threads:
            _count_threads(workers, setting)
        if setting.threads and can_pin():
            for worker in workers:
                worker.pin(gate_core())
        yield workers, loads


def measure(
    workloads: Sequence[Workload],
    lines: Lines,
    setting: Setting = ONE_THREAD,
    *,
    device: str = "cpu",
    order: int = 0,
    limit_s: float = LIMIT_S,
    counts_threads: bool = True,
    pace: Pace | None = None,
    alike: bool = False,
) -> Pair:
    """Start both workers, time them in alternation and stop them.

    Pairs of blocks are timed while the second worker's call of the smallest batch is fast, or its pace lasts.

    Args:
        workloads: the measured one, then the one that it is compared with.
        lines: the lines that both read.
        setting: how they compute.
        device: ``auto``, ``cpu`` or ``cuda``.
        order: even: the first workload goes first; odd: the second.
        limit_s: see ``WorkerProcess``.
        counts_threads: whether to check the number of threads, if the setting has one.
        pace: of the session; None: none of its changes is looked for. Looking calls the second worker more often:
            the first one then finds its data in the caches less often.
        alike: see ``Probe``.

    Raises:
        WorkerError: a worker failed, or computes with another number of threads.
    """
    fresh = partial(loaded, workloads, lines, setting, device=device, limit_s=limit_s)
    calls, first_calls, measured = {}, {}, []
    starts: list[_Start] = []
    probe, disturbed = None, False
    with fresh(order=order, counts_threads=counts_threads) as (workers, loads):
        for size in setting.batch_sizes:
            sides = [Side(worker, size) for worker in workers]
            ordered = sides if order % 2 == 0 else sides[::-1]
            warm_up(ordered, setting.plan)
            if pace:
                called = called_as(workloads[1], setting)
                probe = probe or Probe(sides[1], pace, called, setting.plan.settles, alike)
                probe.slow = None  # warming up took a while
            found = run_pairs(ordered, setting.plan, probe or unwatched)
            calls[size], undisturbed = undisturbed_ratio(sides[0], sides[1], found)
            disturbed |= not undisturbed
            first_calls[size] = sides[0].untimed[0] / sides[1].untimed[0]
            measured.append(sides[0])
            starts = starts or [_Start.of(loads, sides)]
    while len(starts) < setting.starts and sum(start.seconds for start in starts) < _STARTS_S:
        again = order + len(starts)
        with fresh(order=again, counts_threads=False) as (workers, loads):
            sides = [Side(worker, min(setting.batch_sizes)) for worker in workers]
            for side in sides if again % 2 == 0 else sides[::-1]:
                side.first_call()
            starts.append(_Start.of(loads, sides))
    load, start = (median(ratios) for ratios in zip(*((one.load, one.start) for one in starts), strict=True))
    return Pair(calls, first_calls, load, start, measured, disturbed)
