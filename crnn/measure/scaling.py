"""How the time of a call grows with the batch size: dense sizes in shuffled order, over fresh processes.

Powers of two hide the steps between them. In ascending order a drift of the machine would look like a property of the
model, so each process visits the sizes in its own random order. Each block of calls is timed beside a block of the
anchor, which always reads one line: the ratio of the two follows the batch size alone.
"""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from crnn.measure.latency import Plan, Side, run_pairs, timed_difference, undisturbed_ratio
from crnn.measure.pace import Probe
from crnn.measure.process_pairs import slowed_alike
from crnn.measure.row import Runner
from crnn.measure.scaling_record import Scaling
from crnn.measure.session import Session
from crnn.measure.workload import Workload, engine_sha256
from crnn.runtimes.process import WorkerError, WorkerProcess

ANCHOR = "crnn.runtimes.anchors.onnx_anchor"
# Processes differ by more than the blocks of one do: a slow call is timed once per process.
_PLAN = Plan(warmup_s=0.0, pairs=1, block_s=0.03, most_pairs=4, budget_s=0.2, repeats=4)
_ANCHOR_WARMUP_S = 0.3
# The next size is left out where its memory, extrapolated from the sizes before it, exceeds this share of what is free.
_MEMORY_SHARE = 0.8
# Below this many lines the memory of a call says little about that of a line.
_EXTRAPOLATED_FROM = 8
_NO_MEMORY = ("MemoryError", "bad_alloc", "out of memory", "can't allocate memory", "Failed to allocate memory")


def available_memory_bytes() -> int | None:
    """Memory that a process can still take without swapping; None where the system does not tell."""
    try:
        rows = Path("/proc/meminfo").read_text("ascii").splitlines()
    except FileNotFoundError:
        return None
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("MemAvailable"))


class _NoMemoryError(Exception):
    """Raised where a call ran out of memory; holds its batch size."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


@dataclass
class _Process:
    """What one fresh process gave, by batch size."""

    ratios: dict[int, float] = field(default_factory=dict)
    anchor_s: list[float] = field(default_factory=list)
    first_calls: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    resident: int = 0
    sides: list[Side] = field(default_factory=list)
    disturbed: int = 0
    left_out: str | None = None


@contextmanager
def _naming(size: int, worker: WorkerProcess) -> Iterator[None]:
    """Tell calls that ran out of memory from other failures.

    Raises:
        _NoMemoryError: in place of such a failure.
    """
    try:
        yield
    except WorkerError as error:
        said = str(error)
        if any(sign in said for sign in _NO_MEMORY) or (not worker.alive and "SIGKILL" in said):
            raise _NoMemoryError(size) from error
        raise


def _first_calls(worker: WorkerProcess, sizes: Sequence[int], found: _Process) -> list[int]:
    """Call once at each size, ascending; returns the sizes that fit into memory."""
    found.resident, peak = worker.ask("memory")
    fitting = list[int]()
    for size in sizes:
        if fitting and fitting[-1] >= _EXTRAPOLATED_FROM and (free := available_memory_bytes()) is not None:
            per_line = (peak - found.resident) / fitting[-1]
            needed = found.resident + per_line * size - peak
            if needed > _MEMORY_SHARE * free:
                found.left_out = (
                    f"stopped at {fitting[-1]} lines: {size} would take {needed / 1e9:.1f} GB more, "
                    f"{free / 1e9:.1f} GB are free"
                )
                break
        with _naming(size, worker):
            seconds, _ = worker.ask("time", size, 0, 1)
        found.first_calls += seconds
        peak = worker.ask("memory")[1]
        found.peaks.append(peak)
        fitting.append(size)
    return fitting


def _one_process(session: Session, workload: Workload, sizes: Sequence[int], number: int, alike: bool) -> _Process:
    """Measure all sizes in one fresh process, beside a fresh anchor.

    Raises:
        _NoMemoryError: a call ran out of memory.
        WorkerError: a worker failed for another reason.
    """
    found, reference = _Process(), Workload("anchor", ANCHOR)
    with workload.process(session.limit_s) as worker, reference.process(session.limit_s) as anchor:
        worker.begin("load", *workload.load_request(session.device, None))
        anchor.begin("load", *reference.load_request("cpu", None))
        for one, of in ((worker, workload), (anchor, reference)):
            one.finish()
            one.ask("keep", *session.lines.at(of.frame))
        fitting = _first_calls(worker, sizes, found)
        beside = Side(anchor, 1)
        beside.warm_up(_ANCHOR_WARMUP_S, _PLAN.block_s)
        probe = Probe(beside, session.pace, f"{ANCHOR} beside dense sizes", _PLAN.settles, alike)
        draws = random.Random(number)
        for size in draws.sample(fitting, len(fitting)):
            # Each call reads other lines: a model may be faster on some. The first call at this size was made above.
            first = found.first_calls[fitting.index(size)]
            side = Side(worker, size, untimed=[first], line=draws.randrange(len(session.lines)))
            beside.blocks.clear()
            with _naming(size, worker):
                side.warm_up(_PLAN.warmup_s, _PLAN.block_s)
                worker.ask("settle")
                probe.slow = None
                disturbed = run_pairs((side, beside), _PLAN, probe)
            found.ratios[size], undisturbed = undisturbed_ratio(side, beside, disturbed)
            found.disturbed += not undisturbed
            found.anchor_s += [median(block) for block in beside.blocks]
            # The first line of the next block differs, so outputs of all calls are kept: only some are needed.
            side.outputs = dict(list(side.outputs.items())[:1])
            found.sides.append(side)
    return found


def measure(
    session: Session, runner: Runner, artifact: Path, sizes: Sequence[int], processes: int
) -> tuple[Scaling, list[float]]:
    """Measure a row's calls at many batch sizes.

    Args:
        session: provides corpus, device and time limit.
        runner: the measured variant, evaluated.
        artifact: what is loaded: the runner's, or the same model built for these sizes.
        sizes: lines per call, ascending.
        processes: number of fresh processes.

    Returns:
        The record, and the seconds of the smallest size's calls.

    Raises:
        WorkerError: a worker failed for another reason than too little memory, or not even the smallest size fits.
    """
    start, workload = time.monotonic(), Workload.of(runner.variant, artifact, session.corpus)
    alike, left_out = slowed_alike(runner.variant), None
    done: list[_Process] = []
    while len(done) < processes:
        try:
            one = _one_process(session, workload, sizes, len(done), alike)
        except _NoMemoryError as error:
            smaller = [size for size in sizes if size < error.size]
            if not smaller:
                raise WorkerError(f"{runner.variant.name}: a call with {error.size} lines ran out of memory") from error
            sizes, left_out = smaller, f"stopped at {smaller[-1]} lines: a call with {error.size} ran out of memory"
            continue
        done.append(one)
        left_out = left_out or one.left_out
        sizes = [size for size in sizes if size in one.ratios]
    sides = [side for one in done for side in one.sides]
    rows = np.arange(len(session.lines))
    difference = timed_difference(sides, runner.evaluation, runner.variant.reads(session.corpus.alphabet), rows)
    record = Scaling(
        scaling_sizes=list(sizes),
        scaling_ratios=[[round(one.ratios[size], 5) for size in sizes] for one in done],
        scaling_anchor_s=[median(one.anchor_s) for one in done],
        scaling_first_calls_s=[round(second, 5) for second in done[0].first_calls[: len(sizes)]],
        scaling_peak_memory_bytes=done[0].peaks[: len(sizes)],
        scaling_resident_after_load_bytes=done[0].resident,
        scaling_anchor=ANCHOR,
        scaling_anchor_sha256=engine_sha256(ANCHOR),
        scaling_disturbed_count=sum(one.disturbed for one in done),
        scaling_left_out=left_out,
        scaling_outputs_log_prob_difference_nats=difference.log_prob,
        scaling_lines_read_differently_count=len(difference.lines),
        scaling_s=time.monotonic() - start,
    )
    smallest = [side for side in sides if side.batch_size == sizes[0]]
    return record, [second for side in smallest for block in side.blocks for second in block]
