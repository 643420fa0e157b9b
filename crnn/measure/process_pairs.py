"""Pairs of fresh processes: a variant and its anchor, or the same variant at two commits.

What differs from process to process (where memory lies, what the host does in that
second) is larger than what differs from call to call, so a process is one sample. Both
workers of a pair compute with one thread on the same core, which halves the spread
again: see ``benchmarks/README.md``. This is the gate's own setting, not a deployment's.
"""

import inspect
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crnn.artifacts import sha256_of
from crnn.corpus.lines import Lines
from crnn.measure.latency import Plan, Side, run_pairs, timed_differently, warm_up
from crnn.registry.variant import Variant
from crnn.runtimes.base import runtime_class
from crnn.runtimes.process import WorkerError, WorkerProcess

THREADS = 1
# One call of each in turn: a machine that slows down for some milliseconds slows down both.
PLAN = Plan(warmup_s=0.1, pairs=50, block_s=0.0, settles=False)
# More than the calls read: workers that were handed only those spread two to three times as wide.
_LINES = 256

# Whatever starts a thread pool when it is imported reads one of these.
_ONE_THREAD = {
    name: str(THREADS)
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    )
}


@dataclass(frozen=True)
class Workload:
    """What one worker of a pair runs.

    Attributes:
        name: for messages.
        runtime: see ``crnn/runtimes/base.py``.
        artifact: empty for an anchor.
        options: for the runtime's ``load``.
        root: the checkout whose code it runs; None for this one.
    """

    name: str
    runtime: str
    artifact: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    root: Path | None = None


@dataclass(frozen=True)
class Pair:
    """One pair of fresh processes.

    Attributes:
        ratio: seconds of the first / seconds of the second, median over paired blocks.
        seconds: of the first's calls.
        side: the first, with what its timed calls answered.
    """

    ratio: float
    seconds: list[float]
    side: Side


def can_pin() -> bool:
    """Whether this system lets another process be kept on one core."""
    return hasattr(os, "sched_setaffinity") and Path("/proc/self/task").exists()


def gate_core() -> int:
    """The core that both workers share: the last that this process may use; the first serves most interrupts."""
    return max(os.sched_getaffinity(0))


def measure(
    workloads: Sequence[Workload],
    lines: Lines,
    batch_size: int,
    *,
    device: str = "cpu",
    order: int = 0,
    plan: Plan = PLAN,
    limit_s: float = 300.0,
) -> Pair:
    """Start both workers, time them in alternation and end them.

    Args:
        workloads: the one whose latency is asked for, then what it is compared with.
        lines: what they read.
        batch_size: lines a call.
        device: ``auto``, ``cpu`` or ``cuda``.
        order: which of the two goes first: even, the first; odd, the second.
        plan: how many blocks.
        limit_s: see ``WorkerProcess``.

    Raises:
        WorkerError: a worker failed, or computes with more than one thread.
    """
    with ExitStack() as stack:
        workers = []
        for workload in workloads:
            root = {"root": workload.root} if workload.root else {}
            worker = WorkerProcess(workload.name, limit_s, environment=_ONE_THREAD, **root)
            workers.append(stack.enter_context(worker))
        for worker, workload in zip(workers, workloads, strict=True):
            worker.begin("load", workload.runtime, workload.artifact, device, dict(workload.options), THREADS)
        for worker in workers:
            if (threads := worker.finish()["threads"]) != THREADS:
                raise WorkerError(f"{worker.name}: computes with {threads} threads, asked for {THREADS}")
        for worker in workers:
            if can_pin():
                worker.pin(gate_core())
            worker.ask("keep", lines.images, lines.kinds)
        sides = [Side(worker, batch_size) for worker in workers]
        ordered = sides if order % 2 == 0 else sides[::-1]
        warm_up(ordered, plan)
        run_pairs(ordered, plan)
        ratios = [np.median(ours) / np.median(theirs) for ours, theirs in zip(*(s.blocks for s in sides), strict=True)]
        return Pair(float(np.median(ratios)), [s for block in sides[0].blocks for s in block], sides[0])


def settings(reference: Workload, batch_size: int) -> dict[str, Any]:
    """What two sets of pairs have to share to be comparable.

    Args:
        reference: what the variant is paired with.
        batch_size: lines a call.
    """
    source = inspect.getfile(runtime_class(reference.runtime))
    return {
        "anchor": reference.runtime,
        "anchor_sha256": sha256_of(Path(source)),
        "gate_batch_size_lines": batch_size,
        "gate_threads_count": THREADS,
        "gate_pinned": can_pin(),
        "gate_plan": str(PLAN),
    }


class Meter:
    """Measures pair after pair of one variant."""

    def __init__(
        self, variant: Variant, artifact: Path, lines: Lines, batch_size: int, device: str, limit_s: float
    ) -> None:
        """Pair it with its engine's anchor; ``compare_with`` replaces that.

        Args:
            variant: what is measured.
            artifact: its file.
            lines: what it reads, 256 of them.
            batch_size: lines a call.
            device: ``auto``, ``cpu`` or ``cuda``.
            limit_s: see ``WorkerProcess``.
        """
        self._own = Workload(variant.name, variant.runtime, str(artifact.resolve()), variant.runtime_options)
        self.reference = Workload("anchor", runtime_class(variant.runtime).anchor)
        self._rows = np.arange(_LINES) % len(lines)
        self._lines = lines.take(self._rows)
        self._batch_size, self._device, self._limit_s = batch_size, device, limit_s
        self._sides: list[Side] = []
        self.seconds: list[float] = []
        self.spent_s = 0.0

    def compare_with(self, reference: Workload) -> None:
        """Pair it with this instead of the anchor."""
        self.reference = reference

    def next_ratio(self) -> float:
        """Of a fresh pair of processes; the order alternates."""
        start = time.monotonic()
        pair = measure(
            (self._own, self.reference),
            self._lines,
            self._batch_size,
            device=self._device,
            order=len(self._sides),
            limit_s=self._limit_s,
        )
        self._sides.append(pair.side)
        self.seconds += pair.seconds
        self.spent_s += time.monotonic() - start
        return pair.ratio

    def timed_differently(self, judged: np.ndarray) -> float:
        """Largest difference between what timed calls answered and what was judged, log probabilities (N, 50, C)."""
        return max(timed_differently(side, judged[self._rows]) for side in self._sides)
