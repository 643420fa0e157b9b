"""One fresh process of a variant: loaded, called at each batch size, timed in alternation with the anchor."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from statistics import median

import numpy as np

from crnn.corpus.lines import Lines
from crnn.measure import latency as blocks
from crnn.measure.accuracy import Evaluation
from crnn.measure.latency import Disturbed, Plan, Side, TimedDifference, block_ratios
from crnn.measure.loading import Loading
from crnn.measure.records import Latency
from crnn.measure.speedup import over_processes
from crnn.measure.watch import State, Watch
from crnn.measure.workload import Workload, check_outputs, engine_sha256
from crnn.runtimes.anchors import shared_anchor
from crnn.runtimes.process import WorkerProcess

_ANCHOR_LINES = 256
# The first call, one to warm up, and a timed one.
_LEAST_CALLS = 3


class Phases(defaultdict[str, float]):
    """Seconds that each phase of a row took."""

    def __init__(self) -> None:
        """Start at zero."""
        super().__init__(float)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Add the seconds of the block to a phase."""
        start = time.monotonic()
        try:
            yield
        finally:
            self[name] += time.monotonic() - start


class Anchor:
    """The anchor's worker. It is started when it is first needed and kept while the session runs."""

    def __init__(self, lines: Lines, device: str, limit_s: float) -> None:
        """Start nothing yet."""
        self.engine = shared_anchor()
        self.sha256 = engine_sha256(self.engine)
        self._lines, self._device, self._limit_s = lines.take(range(min(_ANCHOR_LINES, len(lines)))), device, limit_s
        self._worker: WorkerProcess | None = None
        self._sides: dict[int, Side] = {}

    @property
    def process_id(self) -> int:
        """Its process; started if necessary."""
        return self._started().process_id

    def _started(self) -> WorkerProcess:
        if self._worker is None or not self._worker.alive:
            workload = Workload("anchor", self.engine)
            self._worker, self._sides = workload.process(self._limit_s), {}
            self._worker.ask("load", *workload.load_request(self._device, None))
            self._worker.ask("keep", *self._lines.at(workload.frame))
        return self._worker

    def side(self, batch_size: int, plan: Plan) -> Side:
        """The warmed-up anchor at a batch size, without blocks yet."""
        worker = self._started()
        if batch_size not in self._sides:
            self._sides[batch_size] = Side(worker, batch_size)
            blocks.warm_up([self._sides[batch_size]], plan)
        side = self._sides[batch_size]
        side.blocks, side.outputs, side.line = [], {}, 0
        return side

    def stop(self) -> None:
        """Stop the worker."""
        if self._worker:
            self._worker.stop()


@dataclass
class AtSize:
    """What one process gave at one batch size.

    Attributes:
        seconds: of the timed calls.
        ratio: seconds of the variant / seconds of the anchor, median over pairs; None if nothing was timed.
        first_call_s: first call; None if other work ran at the same time.
        warmup_calls: number of calls before the first block.
        calls_per_block: number of calls per block.
        peak_memory_bytes: peak so far.
        disturbed: what disturbed the blocks.
        side: the worker, with the outputs of timed calls.
        difference: of the timed outputs to the evaluated ones; known after the evaluation.
    """

    seconds: list[float]
    ratio: float | None
    first_call_s: float | None
    warmup_calls: int
    calls_per_block: int
    peak_memory_bytes: int
    disturbed: Disturbed
    side: Side
    difference: TimedDifference = field(default_factory=TimedDifference)


@dataclass
class Replicate:
    """One process of a variant.

    Attributes:
        load_s: seconds to load, imports included.
        alone: whether no other work ran while it loaded.
        built: whether loading built what other processes read from a cache.
        resident_bytes: resident memory after loading.
        engine: name and version.
        device: the device that it runs on.
        sizes: by batch size.
    """

    load_s: float
    alone: bool
    resident_bytes: int
    engine: str
    device: str
    built: bool = False
    sizes: dict[int, AtSize] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What all processes of a session share.

    Attributes:
        lines: the lines that they read.
        batch_sizes: lines per call, ascending.
        plan: of the timed calls; None: nothing is timed, only called.
        anchor: what they alternate with.
        watch: of the machine.
        tell: reports what is being done.
    """

    lines: Lines
    batch_sizes: Sequence[int]
    plan: Plan | None
    anchor: Anchor
    watch: Watch
    tell: Callable[[str], None]

    def _watcher(self, worker: WorkerProcess) -> blocks.Watcher:
        ours = (worker.process_id, self.anchor.process_id)

        def watch() -> Callable[[], Sequence[str]]:
            before: State | None = self.watch.read(ours)
            return lambda: self.watch.disturbances(before, self.watch.read(ours))

        return watch

    def measure(self, loading: Loading, phases: Phases, first_line: int = 0) -> Replicate:
        """Call a loading worker at each batch size, and time it.

        Args:
            loading: the worker; the caller stops it.
            phases: gets the seconds of each phase.
            first_line: of the first timed batch.

        Raises:
            WorkerError: the worker failed.
            UnsoundError: an output cannot be trusted.
        """
        with phases.of("load"):
            loaded = loading.finish()
        worker = loading.worker
        resident, of_engine = worker.ask("memory")[0], (loaded["engine"], loaded["device"], loaded["built"])
        found = Replicate(loaded["load_s"], loading.alone, resident, *of_engine)
        with phases.of("send lines"):
            worker.ask("keep", *self.lines.at(loading.workload.frame))
        for size in self.batch_sizes:
            self.tell(f"timing batch {size}")
            # Sizes in between read lines after those of the largest one: fewer are left for the evaluation. The
            # smallest one reads the same lines as the largest, to be compared with it.
            smallest, largest = min(self.batch_sizes), max(self.batch_sizes)
            # Whole batches: what a row reads that quantizes at run time depends on where a batch begins.
            skipped = -(-_LEAST_CALLS * largest // size) * size if smallest < size < largest else 0
            line = first_line + skipped
            found.sizes[size] = self._at(loading, size, phases, line)
        return found

    def _at(self, loading: Loading, size: int, phases: Phases, first_line: int) -> AtSize:
        worker, workload, first = loading.worker, loading.workload, size not in loading.prepared
        side, disturbed, ratio = Side(worker, size, line=first_line), Disturbed(), None
        with phases.of("first calls"):
            check_outputs(workload, side.first_call(), size)
        if self.plan:
            with phases.of("warm up"):
                if first:
                    blocks.warm_up([side], self.plan)
                else:
                    # It made a call at this size already, on blank lines.
                    side.calls_per_block = blocks.calls_in(self.plan.block_s, side.untimed, size)
                anchor = self.anchor.side(size, self.plan)
            with phases.of("pairs"):
                disturbed = blocks.run_pairs([side, anchor], self.plan, self._watcher(worker))
            ratio = median(block_ratios(side, anchor))
        return AtSize(
            seconds=[second for block in side.blocks for second in block],
            ratio=ratio,
            first_call_s=side.untimed[0] if first else None,
            warmup_calls=len(side.untimed),
            calls_per_block=side.calls_per_block,
            peak_memory_bytes=worker.ask("memory")[1],
            disturbed=disturbed,
            side=side,
        )


def outputs_so_far(replicates: Sequence[Replicate], sizes: Sequence[int], lines: int) -> tuple[np.ndarray, np.ndarray]:
    """What the calls of some processes read.

    Args:
        replicates: at least one, measured at one batch size or more.
        sizes: batch sizes whose outputs are taken, the preferred one first.
        lines: N.

    Returns:
        Log probabilities (N, T, C) or texts (N,), and which lines were read, bool (N,).
    """
    # Where none of the sizes was measured, no line is known, but the shape is.
    any_output = next(iter(next(iter(replicates[0].sizes.values())).side.outputs.values()))
    log_probs, known = np.zeros((lines, *any_output.shape[1:]), any_output.dtype), np.zeros(lines, bool)
    sides = [one.sizes[size].side for size in sizes for one in replicates if size in one.sizes]
    for start, output in (item for side in sides for item in side.outputs.items()):
        # Lines wrap around: what lies beyond the last one was read before.
        rows = np.arange(start, min(start + len(output), lines))
        rows = rows[~known[rows]]
        log_probs[rows], known[rows] = output[rows - start], True
    return log_probs, known


def settle_differences(replicate: Replicate, evaluation: Evaluation, alphabet: str) -> None:
    """Compare the outputs of timed calls with the evaluated ones, and drop them."""
    rows = np.arange(len(evaluation.edits))
    for at in replicate.sizes.values():
        at.difference = blocks.timed_difference([at.side], evaluation, alphabet, rows)
        at.side.outputs = {}


def latency(replicates: Sequence[Replicate], size: int, anchor: Anchor) -> tuple[Latency, list[float]]:
    """The record of a batch size, from all processes of a variant; and the seconds of each timed call."""
    found = [replicate.sizes[size] for replicate in replicates]
    seconds = [second for at in found for second in at.seconds]
    medians = [float(np.median(at.seconds)) for at in found]
    middle = over_processes(medians)
    low, high = middle.interval or (None, None)
    difference = reduce(or_, (at.difference for at in found))
    kept = [kinds for at in found for kinds in at.disturbed.kept.values()]
    record = Latency(
        batch_size_lines=size,
        latency_median_s=middle.value,
        latency_median_low_s=low,
        latency_median_high_s=high,
        throughput_lines_per_s=size / middle.value,
        first_call_s=found[0].first_call_s,
        warmup_calls_count=sum(at.warmup_calls for at in found),
        timed_calls_count=len(seconds),
        calls_per_block_count=found[0].calls_per_block,
        latency_anchor=anchor.engine,
        latency_anchor_sha256=anchor.sha256,
        anchor_ratios=[at.ratio for at in found if at.ratio is not None],
        process_medians_s=medians,
        peak_memory_bytes=round(median(at.peak_memory_bytes for at in found)),
        remeasured_pairs_count=sum(at.disturbed.remeasured for at in found),
        disturbed_pairs_count=len(kept),
        disturbances=sorted({kind for kinds in kept for kind in kinds}),
        timed_answers_log_prob_difference_nats=difference.log_prob,
        timed_lines_read_differently_count=len(difference.lines),
        timed_lines_compared_count=len(difference.compared),
        **{f"latency_p{rank}_s": value for rank, value in blocks.supported_percentiles(seconds).items()},
    )
    return record, seconds
