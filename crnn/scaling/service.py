"""From the time of a batch to a service: lines per second under a limit of the 99th percentile.

Lines arrive at random (Poisson) at one worker, which batches dynamically: it starts a batch as soon as it is idle and
``most_lines`` wait, or the oldest has waited ``wait_s``. The time of a batch is the row's t(n) with its noise. What
this leaves out: reading and decoding images, the network, several workers, other programs on the machine, and arrivals
in bursts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crnn.scaling.times import ScalingError

LINES = 40_000
"""Arrivals of a simulation, without those of the warm-up."""
_WARMUP = 2_000
_STEPS = 18  # of the bisection: the rate is known to one part in 2^18 of the saturation
_QUANTILE = 0.99

Seconds = Callable[[np.ndarray], np.ndarray]
"""Seconds per call at these sizes, int (...)."""


@dataclass(frozen=True)
class Policy:
    """When a batch starts.

    Attributes:
        most_lines: N, lines per batch at most.
        wait_s: w, so long an idle worker waits for more lines after the oldest arrived.
    """

    most_lines: int
    wait_s: float = 0.0


def saturation(seconds: Seconds, policy: Policy) -> float:
    """Lines per second above which the queue grows without end: the best rate of any batch that is allowed."""
    sizes = np.arange(1, policy.most_lines + 1)
    return float((sizes / seconds(sizes)).max())


def sojourns(arrivals: np.ndarray, seconds: np.ndarray, policy: Policy, noise: np.ndarray | None = None) -> np.ndarray:
    """Seconds from each line's arrival to the end of its batch.

    Args:
        arrivals: float (L,), ascending.
        seconds: of a batch with 1 to N lines, float (N,).
        policy: when a batch starts.
        noise: factors of the batches' times, float (M,), used one after the other; None: none.

    Returns:
        Float (L,).
    """
    ends, most = np.empty(len(arrivals)), policy.most_lines
    free, first, batch = 0.0, 0, 0
    while first < len(arrivals):
        idle = max(free, arrivals[first])
        # An idle worker waits until the batch is full or the oldest line has waited long enough.
        full_at = arrivals[first + most - 1] if first + most <= len(arrivals) else np.inf
        start = max(idle, min(full_at, arrivals[first] + policy.wait_s))
        last = min(first + most, int(np.searchsorted(arrivals, start, side="right")))
        factor = 1.0 if noise is None else noise[batch % len(noise)]
        free = start + seconds[last - first - 1] * factor
        ends[first:last] = free
        first, batch = last, batch + 1
    return ends - arrivals


@dataclass(frozen=True)
class Service:
    """A worker that serves lines.

    Attributes:
        seconds: t(n).
        policy: when a batch starts.
        noise: factors of single calls, float (M,), with mean 1.
    """

    seconds: Seconds
    policy: Policy
    noise: np.ndarray | None = None

    @property
    def saturation(self) -> float:
        """Lines per second above which there is no steady state."""
        return saturation(self.seconds, self.policy)

    def simulated(self, rate: float, lines: int = LINES, seed: int = 0) -> np.ndarray:
        """Seconds from arrival to result of so many lines, in a steady state.

        Args:
            rate: lines per second.
            lines: number of lines that count.
            seed: of the arrivals; the same seed scales the same arrivals, so that results do not jump with the rate.

        Raises:
            ScalingError: the rate is not below the saturation.
        """
        if rate >= self.saturation:
            raise ScalingError(f"no steady state above {self.saturation:,.0f} lines/s: {rate:,.0f} lines/s arrive")
        draws = np.random.default_rng([2026, seed])
        arrivals = np.cumsum(draws.exponential(1.0, _WARMUP + lines)) / rate
        per_call = self.seconds(np.arange(1, self.policy.most_lines + 1))
        return sojourns(arrivals, per_call, self.policy, self.noise)[_WARMUP:]

    def p99_s(self, rate: float, lines: int = LINES, seed: int = 0) -> float:
        """99th percentile of the seconds from arrival to result; errors as in ``simulated``."""
        return float(np.quantile(self.simulated(rate, lines, seed), _QUANTILE))

    def best_rate(self, limit_s: float, lines: int = LINES) -> float:
        """The highest rate, in lines per second, with a 99th percentile of at most this; 0 if there is none.

        A line that arrives alone waits and takes a call of its own: no rate has a lower percentile.
        """
        low, high = 0.0, self.saturation
        for _ in range(_STEPS):
            rate = (low + high) / 2
            low, high = (rate, high) if self.p99_s(rate, lines) <= limit_s else (low, rate)
            if high - low < 0.002 * self.saturation:
                break
        return low if low > 0.002 * self.saturation else 0.0


def mean_wait_md1(rate: float, seconds: float) -> float:
    """Mean seconds from arrival to result in M/D/1: batches of one line, without waiting (Pollaczek and Khinchine).

    Raises:
        ScalingError: the rate is not below the saturation.
    """
    load = rate * seconds
    if load >= 1:
        raise ScalingError(f"no steady state above {1 / seconds:,.0f} lines/s: {rate:,.0f} lines/s arrive")
    return seconds + load * seconds / (2 * (1 - load))


def mean_bound(rate: float, fixed_s: float, per_line_s: float) -> float:
    """Upper bound of the mean seconds from arrival to result where batches of all waiting lines take a + b·n.

    Inoue, 2021, "Queueing analysis of GPU-based inference servers with dynamic batching: a closed-form
    characterization", Performance Evaluation 147 (arXiv 1912.06322).

    Args:
        rate: lines per second.
        fixed_s: a; there it is called tau0.
        per_line_s: b; there it is called alpha.

    Raises:
        ScalingError: the rate is not below 1/b.
    """
    load = rate * per_line_s
    if load >= 1:
        raise ScalingError(f"no steady state above {1 / per_line_s:,.0f} lines/s: {rate:,.0f} lines/s arrive")
    light = (per_line_s + fixed_s) / (2 * (1 - load)) * (1 + 2 * rate * fixed_s + (1 - rate * fixed_s) / (1 + load))
    heavy = 1.5 * fixed_s / (1 - load) + per_line_s / 2 * (load + 2) / (1 - load**2)
    return min(light, heavy)
