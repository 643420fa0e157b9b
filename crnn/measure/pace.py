"""Whether the machine computes as fast as it can.

A virtual machine may be slower for seconds or minutes, without load, steal time or a lower frequency. An int8 model is
slowed down more than a float32 one, so their ratio changes too. Two models of one kind are slowed down alike: their
ratio only changes where the pace does while they take turns. ``benchmarks/README.md`` has the figures.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from crnn.measure.latency import Side

SLOW = 1.2
"""So many times the fastest call is slow: calls at one pace differ by up to 1.15, others by 1.25 or more."""
KIND = "pace"
"""What disturbed a pair of blocks that was measured at a slow pace."""
# After so long, in one process or in a whole run, pairs are measured anyway, and marked.
_PROCESS_PATIENCE_S, _RUN_PATIENCE_S = 5.0, 600.0


class Pace:
    """The fastest calls so far, by what was called and how; and how long faster ones are still waited for.

    Attributes:
        patience_s: so many more seconds may pass with waiting, and with measuring again.
    """

    def __init__(self, patience_s: float = _RUN_PATIENCE_S) -> None:
        """Nothing was called yet."""
        self._fastest: dict[str, float] = {}
        self.patience_s = patience_s

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Take the seconds of the block from the patience; blocks inside it are part of it."""
        before, start = self.patience_s, time.monotonic()
        yield
        self.patience_s = before - (time.monotonic() - start)

    def fastest_s(self, called: str) -> float | None:
        """Seconds of the fastest call; None if there was none."""
        return self._fastest.get(called)

    def expect(self, called: str, seconds: float) -> None:
        """An earlier run's fastest call on this machine took so long."""
        self._fastest[called] = min(seconds, self._fastest.get(called, seconds))

    def is_slow(self, called: str, seconds: float) -> bool:
        """Whether a call of so many seconds is slow; faster ones are what later ones are compared with."""
        self.expect(called, seconds)
        return seconds > SLOW * self._fastest[called]


@dataclass
class Probe:
    """Calls one worker before and after each pair of blocks, and waits until it is fast; a ``latency.Watcher``.

    Attributes:
        side: the worker, warmed up; what it measured before remains.
        pace: of the session.
        called: names what the worker calls, and how.
        settles: see ``latency.Plan``.
        alike: whether the two models are slowed down alike: then blocks count at any pace that lasts.
        slow: whether the latest call was slow; None if something else was called since.
        patience_s: so long this process waits for fast calls.
    """

    side: Side
    pace: Pace
    called: str
    settles: bool
    alike: bool = False
    slow: bool | None = field(default=None, init=False)
    patience_s: float = field(default=_PROCESS_PATIENCE_S)

    def _is_slow(self) -> bool:
        seconds = median(self.side.run_block(self.settles))
        self.side.blocks.pop()
        return self.pace.is_slow(self.called, seconds)

    def __call__(self) -> Callable[[], Sequence[str]]:
        """Wait for a fast call, unless any pace will do; the function that it returns makes another call after a pair.

        It says whether the pair was disturbed.
        """
        self.slow = self._is_slow() if self.slow is None else self.slow
        if self.alike:
            return self._ended
        start = time.monotonic()
        with self.pace.waiting():
            while self.slow and time.monotonic() - start < min(self.patience_s, self.pace.patience_s):
                self.slow = self._is_slow()
        self.patience_s -= time.monotonic() - start

        return self._ended

    def _ended(self) -> Sequence[str]:
        before, self.slow = self.slow, self._is_slow()
        disturbed = before != self.slow if self.alike else before or self.slow
        return (KIND,) if disturbed else ()
