"""Two at once: the throughput of two workers with one thread each, compared with one worker with two threads.

A server that reads many batches can do either. Workers with one thread never wait for each other after a layer;
one worker with two threads needs the memory of one.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from statistics import fmean, median

import numpy as np

from crnn.measure.latency import Side, timed_difference
from crnn.measure.process_pairs import ONE_THREAD
from crnn.measure.records import Throughput
from crnn.measure.row import Runner
from crnn.measure.session import Session
from crnn.measure.speedup import over_processes
from crnn.measure.workload import Workload
from crnn.runtimes.process import WorkerError

WORKERS = 2
BATCH_SIZE = 32
# Windows alternate, because the speed of the machine drifts; each has calls for about this many seconds.
_PAIRS, _WINDOW_S, _LEAST_CALLS, _WARMUP_S = 3, 0.6, 4, 0.3


def measure(session: Session, runner: Runner, sets: int) -> tuple[Throughput, list[float]]:
    """Measure several sets of fresh processes, in each of which both ways alternate.

    Args:
        session: provides corpus, device and time limit.
        runner: the measured variant.
        sets: number of sets; the interval of the gain is over sets.

    Returns:
        The record, and seconds per line of each window of two workers.

    Raises:
        WorkerError: a worker failed, or one with one thread computes with more.
    """
    together, alone, gains = list[float](), list[float](), list[float]()
    sides = list[Side]()
    for _ in range(sets):
        rates, used = _one_set(session, Workload.of(runner.variant, runner.artifact, session.corpus))
        together += [both for both, _ in rates]
        alone += [one for _, one in rates]
        gains.append(median(both / one for both, one in rates))
        sides += used
    gain = over_processes(gains)
    low, high = gain.interval or (None, None)
    alphabet = runner.variant.reads(session.corpus.alphabet)
    difference = timed_difference(sides, runner.evaluation, alphabet, np.arange(len(session.lines)))
    record = Throughput(
        together_s_per_line=1 / fmean(together),
        together_batch_size_lines=BATCH_SIZE,
        together_workers_count=WORKERS,
        together_lines_per_s=fmean(together),
        alone_lines_per_s=fmean(alone),
        together_gain_ratio=gain.value,
        together_gain_low_ratio=low,
        together_gain_high_ratio=high,
        together_gains=gains,
        together_answers_log_prob_difference_nats=difference.log_prob,
        together_lines_read_differently_count=len(difference.lines),
    )
    return record, [1 / rate for rate in together]


def _one_set(session: Session, workload: Workload) -> tuple[list[tuple[float, float]], list[Side]]:
    """Lines per second of both ways, window by window, and the workers' sides."""
    with ExitStack() as stack:
        pair = [stack.enter_context(workload.process(session.limit_s, ONE_THREAD.environment)) for _ in range(WORKERS)]
        single = stack.enter_context(workload.process(session.limit_s))
        for worker in (*pair, single):
            worker.begin("load", *workload.load_request(session.device, WORKERS if worker is single else 1))
        for worker in (*pair, single):
            worker.finish()
            worker.ask("keep", *session.lines.at(workload.frame))
        for worker in pair:
            threads = worker.ask("threads", BATCH_SIZE)
            if threads is not None and threads != 1:
                raise WorkerError(f"{worker.name}: {threads} threads compute, 1 was asked for")
        # Each reads other lines.
        sides = [
            Side(worker, BATCH_SIZE, line=index * len(session.lines) // 4)
            for index, worker in enumerate((*pair, single))
        ]
        for side in sides:
            side.warm_up(_WARMUP_S, _WINDOW_S)
            side.worker.ask("settle")
        groups = sides[:WORKERS], sides[WORKERS:]
        calls = [max(_LEAST_CALLS, min(side.calls_per_block for side in group)) for group in groups]
        rates = [tuple(_rate(*window) for window in zip(groups, calls, strict=True)) for _ in range(_PAIRS)]
        return [(both, one) for both, one in rates], sides


def _rate(sides: Sequence[Side], calls: int) -> float:
    """Lines per second of workers that make these calls at the same time."""
    for side in sides:
        side.worker.begin("time", side.batch_size, side.line, calls)
    rate = 0.0
    for side in sides:
        seconds, outputs = side.worker.finish()
        side.keep(outputs)
        rate += calls * side.batch_size / sum(seconds)
    for side in sides:
        side.worker.ask("settle")
    return rate
