"""Latency of a variant and its speed-up over the original, from paired blocks.

A block is a few consecutive calls in one worker. Blocks of the variant and of the original
alternate, and their order changes from pair to pair, so drift of the machine affects both.
After each block its worker waits until its own threads have stopped spinning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import comb

import numpy as np

from crnn.measure.accuracy import Evaluation
from crnn.measure.records import Latency
from crnn.runtimes.process import WorkerProcess
from crnn.text import best_path

_MOST_CALLS = 25
_MOST_WARMUP_CALLS = 500
# A speed-up is clear if its interval stays this far from 1.
_CLEAR_RATIO = 1.1
# Least sample sizes: with 95 % confidence such a sample has at least one value beyond the percentile.
P95_SAMPLES, P99_SAMPLES = 59, 299


@dataclass(frozen=True)
class Plan:
    """How much is measured per batch size.

    Attributes:
        warmup_s: seconds of untimed calls before the first block; at least two calls, 500 at most.
        pairs: number of blocks of each of the two workers; a 95 % interval needs at least six.
        block_s: target duration of a block of short calls, in seconds.
        settles: whether a worker waits after each block until its thread pool has stopped spinning.
        clear_pairs: number of pairs after which measuring ends if the speed-up is clear and the
            remaining pairs would support no further percentile. None: never.
    """

    warmup_s: float
    pairs: int
    block_s: float = 0.08
    settles: bool = True
    clear_pairs: int | None = None


FULL = Plan(warmup_s=1.0, pairs=12, clear_pairs=6)
QUICK = Plan(warmup_s=0.3, pairs=6)


@dataclass
class Side:
    """One of the two workers at one batch size, and its measurements.

    Attributes:
        untimed: seconds of this worker's calls at this batch size outside of blocks, in order;
            calls from before this measurement count as warm-up.
        blocks: seconds of the calls, block by block.
        outputs: log probabilities of the latest call on each batch, by the batch's first line.
    """

    worker: WorkerProcess
    batch_size: int
    untimed: list[float] = field(default_factory=list)
    calls_per_block: int = 1
    blocks: list[list[float]] = field(default_factory=list)
    outputs: dict[int, np.ndarray] = field(default_factory=dict)
    _line: int = 0

    @property
    def first_call_s(self) -> float:
        """Seconds of the first call, reported separately: it may compile, trace or allocate."""
        return self.untimed[0]

    def warm_up(self, seconds: float, block_s: float) -> None:
        """Call until ``seconds`` have passed, 500 times at most; then set the number of calls per block."""
        self._call(1)
        while len(spent := self.untimed[1:]) < 2 or (sum(spent) < seconds and len(spent) < _MOST_WARMUP_CALLS):
            # Double the calls within the time left: few requests for short calls, no extra calls for long ones.
            mean = sum(spent) / len(spent) if spent else seconds
            left = int((seconds - sum(spent)) / max(mean, 1e-9))
            self._call(max(1, min(left, len(spent), _MOST_CALLS)))
        self.calls_per_block = min(max(1, round(block_s / float(np.median(spent)))), _MOST_CALLS)

    def _call(self, calls: int) -> None:
        self.untimed += self.worker.ask("time", self.batch_size, 0, calls)[0]

    def run_block(self, settles: bool = True) -> list[float]:
        """Run one block on the next lines; returns the seconds of its calls.

        A block of several calls starts with an untimed one: the other worker may have evicted the caches.
        """
        rewarm = self.calls_per_block > 1
        seconds, outputs = self.worker.ask("time", self.batch_size, self._line, self.calls_per_block + rewarm)
        for index, output in enumerate(outputs):
            self.outputs[self._line + index * self.batch_size] = output
        self._line += len(outputs) * self.batch_size
        self.blocks.append(seconds[rewarm:])
        if settles:
            self.worker.ask("settle")
        return self.blocks[-1]


def warm_up(sides: Sequence[Side], plan: Plan) -> None:
    """Warm up one side after the other, while the others are idle."""
    for side in sides:
        side.warm_up(plan.warmup_s, plan.block_s)
        side.worker.ask("settle")


def run_pairs(sides: Sequence[Side], plan: Plan) -> None:
    """Measure one or two warmed-up sides, block by block in alternation."""
    for pair in range(plan.pairs):
        if pair == plan.clear_pairs and len(sides) == 2 and _adds_nothing(sides[0], sides[1], plan):
            return
        for side in sides if pair % 2 == 0 else reversed(sides):
            side.run_block(plan.settles)


def _adds_nothing(variant: Side, original: Side, plan: Plan) -> bool:
    """Whether the remaining pairs could change neither the verdict nor the supported percentiles."""
    low, high = speedup(variant, original).interval or (0.0, float("inf"))
    timed, planned = (pairs * variant.calls_per_block for pairs in (len(variant.blocks), plan.pairs))
    clear = low > _CLEAR_RATIO or high < 1 / _CLEAR_RATIO
    return clear and _supported_ranks(timed) == _supported_ranks(planned)


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Distribution-free interval of the median from order statistics; None for fewer than six samples.

    The number of samples below the median is binomial (n, 1/2). The interval is the narrowest pair
    of ranks whose coverage is at least ``confidence`` (Conover, 1999, section 3.2).
    """
    ordered, count = sorted(samples), len(samples)
    tail, rank = 0.0, 0
    while (tail := tail + comb(count, rank) / 2**count) <= (1 - confidence) / 2:
        rank += 1
    return (ordered[rank - 1], ordered[-rank]) if rank else None


def percentile(samples: Sequence[float], share: float) -> float:
    """The value below which that share of the samples lies."""
    return float(np.quantile(samples, share))


def _supported_ranks(count: int) -> list[int]:
    return [rank for rank, least in ((95, P95_SAMPLES), (99, P99_SAMPLES)) if count >= least]


def supported_percentiles(samples: Sequence[float]) -> dict[int, float]:
    """The 95th and 99th percentiles, each only if the sample supports it."""
    return {rank: percentile(samples, rank / 100) for rank in _supported_ranks(len(samples))}


@dataclass(frozen=True)
class Speedup:
    """Speed-up of the variant over the original: median over pairs of original / variant."""

    ratio: float
    interval: tuple[float, float] | None
    pairs: int

    @property
    def verdict(self) -> str:
        """``faster`` or ``slower`` if the interval excludes 1, else ``no difference shown``."""
        low, high = self.interval or (0.0, float("inf"))
        return "faster" if low > 1 else "slower" if high < 1 else "no difference shown"


def speedup(variant: Side, original: Side) -> Speedup:
    """The speed-up from the paired blocks of both; a block counts as its median call."""
    ratios = [
        float(np.median(theirs) / np.median(ours)) for ours, theirs in zip(variant.blocks, original.blocks, strict=True)
    ]
    return Speedup(float(np.median(ratios)), median_interval(ratios), len(ratios))


@dataclass(frozen=True)
class TimedDifference:
    """How the outputs of timed calls differ from the evaluated ones.

    Attributes:
        log_prob: largest difference in log probability.
        lines: number of lines that at least one timed call decoded to another text.
    """

    log_prob: float
    lines: int


def timed_difference(sides: Sequence[Side], evaluation: Evaluation, alphabet: str, rows: np.ndarray) -> TimedDifference:
    """Compare the outputs of timed calls with those that gave the CER.

    Args:
        sides: of one variant, after their blocks.
        evaluation: of all lines.
        alphabet: C - 1 characters.
        rows: indices of the evaluated lines that the workers kept, int (N,).
    """
    worst, lines = 0.0, set[int]()
    for side in sides:
        for start, output in side.outputs.items():
            read = rows[np.arange(start, start + side.batch_size) % len(rows)]
            worst = max(worst, float(np.abs(output - evaluation.log_probs[read]).max()))
            texts = best_path(output, alphabet)
            lines |= {int(row) for row, text in zip(read, texts, strict=True) if text != evaluation.texts[row]}
    return TimedDifference(worst, len(lines))


def record(side: Side, original: Side | None, difference: TimedDifference, alone_because: str | None = None) -> Latency:
    """The record of a variant's measured blocks.

    Args:
        side: of the variant.
        original: of its original, measured in pairs with it.
        difference: between the timed and the evaluated outputs.
        alone_because: why there is no original to compare with.
    """
    seconds = [second for block in side.blocks for second in block]
    median, interval = percentile(seconds, 0.5), median_interval(seconds) or (None, None)
    percentiles = {f"latency_p{rank}_s": value for rank, value in supported_percentiles(seconds).items()}
    gain = speedup(side, original) if original else None
    ends = (gain.interval if gain else None) or (None, None)
    return Latency(
        batch_size_lines=side.batch_size,
        latency_median_s=median,
        latency_median_low_s=interval[0],
        latency_median_high_s=interval[1],
        throughput_lines_per_s=side.batch_size / median,
        first_call_s=side.first_call_s,
        warmup_calls_count=len(side.untimed),
        timed_calls_count=len(seconds),
        calls_per_block_count=side.calls_per_block,
        speedup_ratio=gain.ratio if gain else None,
        speedup_low_ratio=ends[0],
        speedup_high_ratio=ends[1],
        speedup_pairs_count=gain.pairs if gain else None,
        speedup_verdict=gain.verdict if gain else None,
        measured_alone_because=alone_because,
        timed_answers_log_prob_difference_nats=difference.log_prob,
        timed_lines_read_differently_count=difference.lines,
        **percentiles,
    )
