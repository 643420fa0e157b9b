"""Blocks of timed calls in one process, alternating with blocks of the anchor.

A block is a few consecutive calls in one worker. Blocks of the two workers alternate, and their
order changes from pair to pair, so drift of the machine affects both. After each block its worker
waits until its own threads have stopped spinning. A pair that something else on the machine
disturbed is discarded and measured again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import comb

import numpy as np

from crnn.measure.accuracy import Evaluation, are_texts
from crnn.runtimes.process import WorkerProcess
from crnn.text import best_path

_MOST_CALLS = 25
# A worker makes the inputs of all calls of a request before the first: they count as its memory.
_MOST_LINES = 512
_MOST_WARMUP_CALLS = 500
# So many disturbed pairs are measured again, per process and batch size; further ones are kept and marked: where the
# machine is busy all the time, repeating does not help.
MOST_REPEATS = 3
# Least sample sizes: with 95 % confidence such a sample has at least one value beyond the percentile.
P95_SAMPLES, P99_SAMPLES = 59, 299


@dataclass(frozen=True)
class Plan:
    """How much is measured per process and batch size.

    Attributes:
        warmup_s: seconds of untimed calls after the first one and before the first block; at least one
            call, 500 at most.
        pairs: least number of pairs of blocks.
        block_s: target duration of a block of short calls, in seconds.
        settles: whether a worker waits after each block until its thread pool has stopped spinning.
        most_pairs: number of pairs that end the measurement; the least number by default.
        budget_s: seconds of timed calls after which no pair is added to the least number.
        repeats: maximum number of disturbed pairs that are measured again; further ones are kept and marked.
    """

    warmup_s: float
    pairs: int
    block_s: float = 0.08
    settles: bool = True
    most_pairs: int = 0
    budget_s: float = 0.0
    repeats: int = MOST_REPEATS


# Processes differ by more than the blocks of one process do, so each takes few of the slow calls.
FULL = Plan(warmup_s=0.2, pairs=1, most_pairs=8, budget_s=0.4)
QUICK = Plan(warmup_s=0.1, pairs=1, most_pairs=4, budget_s=0.3)
# For studies, which compare two models in one process each: an interval over pairs needs at least six.
STUDY = Plan(warmup_s=1.0, pairs=12)

Watcher = Callable[[], Callable[[], Sequence[str]]]
"""Starts watching the machine; the function that it returns ends it and names what disturbed the interval."""


def unwatched() -> Callable[[], Sequence[str]]:
    """Watch nothing."""
    return tuple


def most_calls(batch_size: int) -> int:
    """The largest number of calls per request: 25, and 512 lines in all."""
    return max(1, min(_MOST_CALLS, _MOST_LINES // batch_size))


def calls_in(block_s: float, seconds: Sequence[float], batch_size: int) -> int:
    """Number of calls in a block of that duration, given the seconds of some calls; see ``most_calls``."""
    return min(max(1, round(block_s / float(np.median(seconds)))), most_calls(batch_size))


@dataclass
class Side:
    """One of the two workers at one batch size, and its measurements.

    Attributes:
        untimed: seconds of this worker's calls at this batch size outside of blocks, in order;
            calls from before this measurement count as warm-up.
        blocks: seconds of the calls, block by block.
        outputs: log probabilities of the latest call on each batch, by the batch's first line.
        line: first line of the next call.
    """

    worker: WorkerProcess
    batch_size: int
    untimed: list[float] = field(default_factory=list)
    calls_per_block: int = 1
    blocks: list[list[float]] = field(default_factory=list)
    outputs: dict[int, np.ndarray] = field(default_factory=dict)
    line: int = 0

    def first_call(self) -> np.ndarray:
        """Make the first call, which may compile, trace or allocate; returns its output."""
        line = self.line
        self._call(1)
        return self.outputs[line]

    def warm_up(self, seconds: float, block_s: float) -> None:
        """Call until ``seconds`` have passed, 500 times at most; then set the number of calls per block."""
        if not self.untimed:
            self.first_call()
        while not (spent := self.untimed[1:]) or (sum(spent) < seconds and len(spent) < _MOST_WARMUP_CALLS):
            # Double the calls within the time left: few requests for short calls, no extra calls for long ones.
            mean = sum(spent) / len(spent) if spent else seconds
            left = int((seconds - sum(spent)) / max(mean, 1e-9))
            self._call(max(1, min(left, len(spent), most_calls(self.batch_size))))
        self.calls_per_block = calls_in(block_s, spent, self.batch_size)

    def _time(self, calls: int) -> list[float]:
        """Seconds of calls on the next lines, whose outputs are kept."""
        seconds, outputs = self.worker.ask("time", self.batch_size, self.line, calls)
        self.keep(outputs)
        return seconds

    def keep(self, outputs: Sequence[np.ndarray]) -> None:
        """Keep the outputs of calls on the next lines."""
        for output in outputs:
            self.outputs[self.line] = output
            self.line += self.batch_size

    def _call(self, calls: int) -> None:
        self.untimed += self._time(calls)

    def run_block(self, settles: bool = True) -> list[float]:
        """Run one block on the next lines; returns the seconds of its calls.

        A block of several calls starts with an untimed one: the other worker may have evicted the caches.
        """
        rewarm = self.calls_per_block > 1
        self.blocks.append(self._time(self.calls_per_block + rewarm)[rewarm:])
        if settles:
            self.worker.ask("settle")
        return self.blocks[-1]


def warm_up(sides: Sequence[Side], plan: Plan) -> None:
    """Warm up one side after the other, while the others are idle."""
    for side in sides:
        side.warm_up(plan.warmup_s, plan.block_s)
        side.worker.ask("settle")


@dataclass
class Disturbed:
    """What disturbed a measurement.

    Attributes:
        remeasured: number of pairs that were discarded and measured again.
        kept: what disturbed pairs that were kept, by their position among all.
    """

    remeasured: int = 0
    kept: dict[int, Sequence[str]] = field(default_factory=dict)


def run_pairs(sides: Sequence[Side], plan: Plan, watch: Watcher = unwatched) -> Disturbed:
    """Measure warmed-up sides, block by block in alternation."""
    found, spent, pair = Disturbed(), 0.0, 0
    while pair < plan.pairs or (pair < plan.most_pairs and spent < plan.budget_s):
        ended = watch()
        spent += sum(sum(side.run_block(plan.settles)) for side in (sides if pair % 2 == 0 else reversed(sides)))
        kinds = ended()
        if kinds and found.remeasured < plan.repeats:
            found.remeasured += 1
            for side in sides:
                side.blocks.pop()
            continue
        if kinds:
            found.kept[pair] = kinds
        pair += 1
    return found


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


def block_ratios(side: Side, other: Side) -> list[float]:
    """Seconds of one side / seconds of the other, one per pair of blocks; a block counts as its median call."""
    return [float(np.median(ours) / np.median(theirs)) for ours, theirs in zip(side.blocks, other.blocks, strict=True)]


def undisturbed_ratio(side: Side, other: Side, disturbed: Disturbed) -> tuple[float, bool]:
    """Median ratio of the pairs of blocks that nothing disturbed, or of all; and whether there are undisturbed ones."""
    ratios = block_ratios(side, other)
    kept = [ratio for position, ratio in enumerate(ratios) if position not in disturbed.kept]
    return float(np.median(kept or ratios)), bool(kept)


@dataclass(frozen=True)
class TimedDifference:
    """How the outputs of timed calls differ from the evaluated ones.

    Attributes:
        log_prob: largest difference in log probability.
        lines: indices of the lines that at least one timed call decoded to another text.
        compared: indices of all lines that the calls read.
    """

    log_prob: float = 0.0
    lines: frozenset[int] = frozenset()
    compared: frozenset[int] = frozenset()

    def __or__(self, other: "TimedDifference") -> "TimedDifference":
        """The difference of both sets of calls together."""
        worst = max(self.log_prob, other.log_prob)
        return TimedDifference(worst, self.lines | other.lines, self.compared | other.compared)


def timed_difference(sides: Sequence[Side], evaluation: Evaluation, alphabet: str, rows: np.ndarray) -> TimedDifference:
    """Compare the outputs of timed calls with those that gave the CER.

    Args:
        sides: of one variant, after their blocks.
        evaluation: of all lines.
        alphabet: C - 1 characters.
        rows: indices of the evaluated lines that the workers kept, int (N,).
    """
    worst, lines, compared = 0.0, set[int](), set[int]()
    for side in sides:
        for start, output in side.outputs.items():
            read = rows[np.arange(start, start + side.batch_size) % len(rows)]
            texts = output if are_texts(output) else best_path(output, alphabet)
            if not are_texts(output):
                worst = max(worst, float(np.abs(output - evaluation.log_probs[read]).max()))
            compared |= set(map(int, read))
            lines |= {int(row) for row, text in zip(read, texts, strict=True) if text != evaluation.texts[row]}
    return TimedDifference(worst, frozenset(lines), frozenset(compared))
