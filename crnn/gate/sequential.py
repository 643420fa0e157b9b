"""How many process pairs it takes: measure until the answer is clear, then make sure of a bad one.

The screen stops at the first look that shows the change to be within the limit, or
shows a slowdown. A slowdown is only believed when fresh processes show it again, at a
level corrected for the number of comparisons in the run (Bonferroni): that second look
alone keeps the chance of any false alarm in a run below ``FAMILY``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from crnn.gate.intervals import ratio_interval

BASELINE_PAIRS = 8
SCREEN_LOOKS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
CONFIRM_LOOKS = (3, 4, 5, 6, 8, 10, 12)
SCREEN_TAIL = 0.001
FAMILY = 0.01

SAME, WORSE, BETTER, UNCLEAR = "same", "worse", "better", "unclear"


def decide(change: float, low: float, high: float, allowed: float) -> str:
    """What an interval says of a change for the worse, none being zero.

    Exactly one holds: a change of more than is allowed is excluded (``same``, or
    ``better`` where no change is excluded too, at the other end); it is not excluded but
    no change is (``worse``); neither is (``unclear``: more had to be measured).
    """
    if high <= allowed:
        return BETTER if high < 0 and change < -allowed / (1 + allowed) else SAME
    return WORSE if low > 0 else UNCLEAR


@dataclass(frozen=True)
class Reference:
    """What a run is compared with.

    Attributes:
        ratios: of the baseline's process pairs; empty where the run's ratios are direct ones to it.
        allowed: slowdown, as a fraction.
    """

    ratios: tuple[float, ...]
    allowed: float

    def word(self, ratios: Sequence[float], tail: float) -> str:
        """What the run's pairs say against this baseline."""
        ratio, low, high = ratio_interval(ratios, self.ratios, tail)
        return decide(ratio - 1, low - 1, high - 1, self.allowed)

    def verdict(self, ratios: Sequence[float], confirmation: Sequence[float], family: int) -> str:
        """What screen and confirmation say together.

        Args:
            ratios: of the screen.
            confirmation: of the second, independent set; empty where there is none: then
                the first has to hold at the corrected level by itself.
            family: number of comparisons in the run.
        """
        first = self.word(ratios, SCREEN_TAIL)
        if first != WORSE:
            return first
        second = self.word(confirmation or ratios, FAMILY / family)
        return SAME if second == BETTER else second


@dataclass
class Pairs:
    """Ratios in the order they were measured."""

    screen: list[float] = field(default_factory=list)
    confirmation: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.screen) + len(self.confirmation)


def measure(next_ratio: Callable[[], float], references: Sequence[Reference], family: int) -> Pairs:
    """Measure as many pairs as the answer takes.

    Args:
        next_ratio: starts a fresh pair of processes and gives its latency ratio.
        references: the baselines, all of which have to be answered; none: as many pairs
            as a baseline has.
        family: number of comparisons in the run.
    """
    pairs = Pairs()
    if not references:
        pairs.screen = [next_ratio() for _ in range(BASELINE_PAIRS)]
        return pairs
    for look in SCREEN_LOOKS:
        pairs.screen += [next_ratio() for _ in range(look - len(pairs.screen))]
        words = [reference.word(pairs.screen, SCREEN_TAIL) for reference in references]
        if WORSE in words or UNCLEAR not in words:
            break
    suspected = [reference for reference, word in zip(references, words, strict=True) if word == WORSE]
    if not suspected:
        return pairs
    for look in CONFIRM_LOOKS:
        pairs.confirmation += [next_ratio() for _ in range(look - len(pairs.confirmation))]
        if all(reference.word(pairs.confirmation, FAMILY / family) != UNCLEAR for reference in suspected):
            break
    return pairs
