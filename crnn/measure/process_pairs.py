"""Pairs of fresh processes: a variant and its anchor, or the same variant at two commits.

Latency differs more from process to process (memory layout, load of the host) than from call
to call, so a process is one sample. Both workers of a pair compute with one thread on the
same core, which halves the spread again, see ``benchmarks/README.md``. These are settings of
the gate, not of a deployment.
"""

import inspect
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from crnn.artifacts import sha256_of
from crnn.corpus.lines import Lines
from crnn.measure.latency import Plan, Side, TimedDifference, block_ratios, run_pairs, warm_up
from crnn.measure.records import RelativeLatency
from crnn.measure.row import Runner
from crnn.measure.session import Session
from crnn.measure.workload import LIMIT_S, Workload
from crnn.runtimes.base import runtime_class
from crnn.runtimes.process import WorkerError

THREADS = 1
# The workers alternate call by call: a slowdown of the machine for some milliseconds affects both.
PLAN = Plan(warmup_s=0.1, pairs=50, block_s=0.0, settles=False)
# More lines than the calls read: with only those, ratios spread two to three times as wide.
_LINES = 256

# Libraries that start a thread pool at import read one of these.
ONE_THREAD = {
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
class Pair:
    """One pair of fresh processes.

    Attributes:
        ratio: seconds of the first / seconds of the second, median over paired blocks.
        seconds: of the first's calls.
        side: the first, with the outputs of its timed calls.
    """

    ratio: float
    seconds: list[float]
    side: Side


def can_pin() -> bool:
    """Whether this system lets another process be kept on one core."""
    return hasattr(os, "sched_setaffinity") and Path("/proc/self/task").exists()


def gate_core() -> int:
    """The core that both workers share: the last usable one, because the first serves most interrupts."""
    return max(os.sched_getaffinity(0))


def measure(
    workloads: Sequence[Workload],
    lines: Lines,
    batch_size: int,
    *,
    device: str = "cpu",
    order: int = 0,
    plan: Plan = PLAN,
    limit_s: float = LIMIT_S,
    counts_threads: bool = True,
) -> Pair:
    """Start both workers, time them in alternation and stop them.

    Args:
        workloads: the measured one, then the one that it is compared with.
        lines: the lines that both read.
        batch_size: lines per call.
        device: ``auto``, ``cpu`` or ``cuda``.
        order: even: the first workload goes first; odd: the second.
        plan: how much is measured.
        limit_s: see ``WorkerProcess``.
        counts_threads: whether to check that each worker computes with one thread.

    Raises:
        WorkerError: a worker failed, or computes with another number of threads.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(workload.process(limit_s, ONE_THREAD)) for workload in workloads]
        for worker, workload in zip(workers, workloads, strict=True):
            worker.begin("load", *workload.load_request(device, THREADS))
        for worker in workers:
            worker.finish()
            worker.ask("keep", lines.images, lines.kinds)
            # Count before pinning: on one core a second thread would not show.
            threads = worker.ask("threads", batch_size) if counts_threads else None
            if threads is not None and threads != THREADS:
                raise WorkerError(f"{worker.name}: {threads} threads compute, {THREADS} was asked for")
        for worker in workers:
            if can_pin():
                worker.pin(gate_core())
        sides = [Side(worker, batch_size) for worker in workers]
        ordered = sides if order % 2 == 0 else sides[::-1]
        warm_up(ordered, plan)
        run_pairs(ordered, plan)
        return Pair(median(block_ratios(*sides)), [s for block in sides[0].blocks for s in block], sides[0])


class Meter:
    """Measures pair after pair of one variant."""

    def __init__(self, session: Session, runner: Runner, batch_size: int, reference: Workload | None = None) -> None:
        """Pair the variant with its engine's anchor, or with another workload.

        Args:
            session: provides corpus, device and time limit.
            runner: the measured variant; it reads 256 lines of the test split.
            batch_size: lines per call.
            reference: the workload that it is paired with; None for the anchor.
        """
        self._session, self._runner, self._batch_size = session, runner, batch_size
        self._own = Workload.of(runner.variant, runner.artifact)
        self._reference = reference or Workload("anchor", runtime_class(runner.variant.runtime).anchor)
        self._rows = np.arange(_LINES) % len(session.lines)
        self._lines = session.lines.take(self._rows)
        self._sides: list[Side] = []
        self._spent_s = 0.0
        self.seconds: list[float] = []

    def next_ratio(self) -> float:
        """The latency ratio of a fresh pair of processes; the order alternates."""
        start = time.monotonic()
        pair = measure(
            (self._own, self._reference),
            self._lines,
            self._batch_size,
            device=self._session.device,
            order=len(self._sides),
            limit_s=self._session.limit_s,
            # Checking once is enough: it takes longer than the timed calls.
            counts_threads=not self._sides,
        )
        self._sides.append(pair.side)
        self.seconds += pair.seconds
        self._spent_s += time.monotonic() - start
        return pair.ratio

    def timed_difference(self) -> TimedDifference:
        """How the outputs of timed calls differ from the evaluated ones."""
        return self._session.timed_difference(self._sides, self._runner.evaluation, self._rows)

    def record(self, ratios: Sequence[float], confirmation: Sequence[float] = (), family: int = 1) -> RelativeLatency:
        """The record of the ratios measured so far, with the settings under which they compare.

        Args:
            ratios: in the order in which they were measured.
            confirmation: of a second, independent set.
            family: number of comparisons in the run.
        """
        source = Path(inspect.getfile(runtime_class(self._reference.runtime)))
        difference = self.timed_difference() if self._sides else None
        return RelativeLatency(
            anchor=self._reference.runtime,
            anchor_sha256=sha256_of(source),
            gate_batch_size_lines=self._batch_size,
            gate_threads_count=THREADS,
            gate_pinned=can_pin(),
            gate_plan=str(PLAN),
            gate_ratios=list(ratios),
            gate_confirmation_ratios=list(confirmation),
            gate_family_count=family,
            gate_pairs_s=self._spent_s,
            gate_answers_log_prob_difference_nats=difference.log_prob if difference else None,
            gate_lines_read_differently_count=len(difference.lines) if difference else None,
        )
