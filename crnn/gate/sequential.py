"""Sequential measuring: process pairs until the verdict is clear; a slowdown has to be confirmed.

The screen stops at the first look that shows the change to be within the limit, or shows a
slowdown. A slowdown only counts if fresh processes confirm it, at a level corrected for the
number of comparisons in the run (Bonferroni). The confirmation alone keeps the probability
of any false alarm in a run below ``FAMILY``.
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
    """The verdict for the interval of a change; positive is worse, zero is no change.

    Exactly one applies. The interval excludes a change larger than allowed: ``same``, or
    ``better`` for a gain as large as a loss that would count. It includes such a change but
    excludes zero: ``worse``. It includes both: ``unclear``, more has to be measured.
    """
    if high <= allowed:
        return BETTER if high < 0 and change < -allowed / (1 + allowed) else SAME
    return WORSE if low > 0 else UNCLEAR


@dataclass(frozen=True)
class Reference:
    """A baseline that a run is compared with.

    Attributes:
        ratios: of the baseline's process pairs; empty if the run's ratios are direct ratios to the base.
        allowed: the allowed slowdown, as a fraction.
    """

    ratios: tuple[float, ...]
    allowed: float

    def word(self, ratios: Sequence[float], tail: float) -> str:
        """The verdict for the run's pairs against this baseline."""
        ratio, low, high = ratio_interval(ratios, self.ratios, tail)
        return decide(ratio - 1, low - 1, high - 1, self.allowed)

    def verdict(self, ratios: Sequence[float], confirmation: Sequence[float], family: int) -> str:
        """The verdict for screen and confirmation together.

        Args:
            ratios: of the screen.
            confirmation: of the second, independent set; if empty, the screen has to show the
                slowdown at the corrected level.
            family: number of comparisons in the run.
        """
        first = self.word(ratios, SCREEN_TAIL)
        if first != WORSE:
            return first
        second = self.word(confirmation or ratios, FAMILY / family)
        return SAME if second == BETTER else second


@dataclass
class Pairs:
    """Ratios in the order in which they were measured."""

    screen: list[float] = field(default_factory=list)
    confirmation: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.screen) + len(self.confirmation)


def measure(next_ratio: Callable[[], float], references: Sequence[Reference], family: int) -> Pairs:
    """Measure pairs until the verdict is clear or the plan ends.

    Args:
        next_ratio: starts a fresh pair of processes and returns its latency ratio.
        references: the baselines, each of which needs a verdict; if there are none,
            ``BASELINE_PAIRS`` pairs are measured.
        family: number of comparisons in the run.
    """
    pairs = Pairs()
    if not references:
        pairs.screen = [next_ratio() for _ in range(BASELINE_PAIRS)]
        return pairs
    for look in SCREEN_LOOKS:
        pairs.screen += [next_ratio() for _ in range(look - len(pairs.screen))]
        words = [reference.word(pairs.screen, SCREEN_TAIL) for reference in references]
        # All of them: a slowdown against one baseline must not leave the other one without a verdict.
        if UNCLEAR not in words:
            break
    suspected = [reference for reference, word in zip(references, words, strict=True) if word == WORSE]
    if not suspected:
        return pairs
    for look in CONFIRM_LOOKS:
        pairs.confirmation += [next_ratio() for _ in range(look - len(pairs.confirmation))]
        if all(reference.word(pairs.confirmation, FAMILY / family) != UNCLEAR for reference in suspected):
            break
    return pairs
