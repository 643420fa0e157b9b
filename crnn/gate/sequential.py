"""Sequential measuring: process pairs until the verdict is clear; a slowdown has to be confirmed.

A look ends the measurement if the interval excludes the limit (``same``), or lies above half of
the limit (suspected). Early looks use a narrow tail, because there are several of them. The last
one uses a wider tail and a quarter of the limit, so that hardly anything stays unclear. A suspected
slowdown only counts if fresh processes show it too, by the same rule. ``benchmarks/README.md`` says
how often it is wrong.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import expm1, sqrt

from crnn.gate.intervals import Typical, kept, ratio_interval

SCREEN_LOOKS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
CONFIRM_LOOKS = (3, 4, 5, 6, 8, 10, 12, 16, 20)
QUICK_LOOKS = (1,)
BASELINE_LOOKS = (6, 9, 12)
# Probability outside of the interval at each end, and the part of the limit that a slowdown has to exceed.
EARLY_TAIL, LAST_TAIL = 0.003, 0.01
EARLY_SHOWN, LAST_SHOWN = 0.5, 0.25
# A baseline resolves a limit that is so many standard errors of the last look: 2.3 for its tail, and 3.7 that
# unchanged code exceeds less than once in a thousand comparisons.
_RESOLVING_ERRORS = 6.0

SAME, WORSE, BETTER, UNCLEAR = "same", "worse", "better", "unclear"


def decide(change: float, low: float, high: float, allowed: float, shown: float = EARLY_SHOWN) -> str:
    """The verdict for the interval of a change; positive is worse, zero is no change.

    Exactly one applies. The interval excludes a change larger than allowed: ``same``, or
    ``better`` for a gain as large as a loss that would count. It includes such a change and lies
    above a part of it: ``worse``. Neither: ``unclear``, more has to be measured.

    Args:
        change: the estimate.
        low: lower end of its interval.
        high: upper end.
        allowed: the limit.
        shown: the part of the limit that a change has to exceed to be worse.
    """
    if high <= allowed:
        return BETTER if high < 0 and change < -allowed / (1 + allowed) else SAME
    return WORSE if low > shown * allowed else UNCLEAR


def resolved(ratios: Sequence[float]) -> float:
    """The least increase by which a run can be compared with these pairs, as a fraction.

    With a smaller limit, unchanged runs would often stay without a verdict. Zero for no pairs: a base, whose pairs
    with the run are measured later.
    """
    if not ratios:
        return 0.0
    own = Typical.of(ratios)
    error = own.spread * sqrt(1 / own.kept + 1 / kept(SCREEN_LOOKS[-1]))
    return expm1(_RESOLVING_ERRORS * error)


@dataclass(frozen=True)
class Reference:
    """A baseline's value of one quantity, with which a run is compared.

    Attributes:
        ratios: of the baseline's process pairs; empty if the run's ratios are direct ratios to the base.
        allowed: the allowed increase, as a fraction.
        quantity: key of the ratio in each pair.
    """

    ratios: tuple[float, ...]
    allowed: float
    quantity: str = ""

    def word(self, ratios: Sequence[float], *, last: bool = True) -> str:
        """The verdict for the run's pairs against this baseline.

        Args:
            ratios: of the run.
            last: whether no more will be measured.
        """
        if tuple(ratios) == self.ratios:
            return SAME  # a run compared with itself, however widely it spreads
        ratio, low, high = ratio_interval(ratios, self.ratios, LAST_TAIL if last else EARLY_TAIL)
        return decide(ratio - 1, low - 1, high - 1, self.allowed, LAST_SHOWN if last else EARLY_SHOWN)

    def verdict(self, ratios: Sequence[float], confirmation: Sequence[float]) -> str:
        """The verdict for screen and confirmation together, when nothing more is measured.

        Args:
            ratios: of the screen.
            confirmation: of the second, independent set; empty if there is none.
        """
        first = self.word(ratios)
        if first != WORSE or not confirmation:
            return first
        second = self.word(confirmation)
        return SAME if second == BETTER else second


Ratios = Mapping[str, float]
"""What one pair of processes gave, by quantity."""


@dataclass
class Pairs:
    """Pairs in the order in which they were measured."""

    screen: list[Ratios] = field(default_factory=list)
    confirmation: list[Ratios] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.screen) + len(self.confirmation)


def of(pairs: Iterable[Ratios], quantity: str) -> list[float]:
    """The ratios of one quantity."""
    return [pair[quantity] for pair in pairs]


def measure(
    next_pair: Callable[[], Ratios],
    references: Sequence[Reference],
    allowed: Mapping[str, float] | None = None,
    looks: Sequence[int] = SCREEN_LOOKS,
) -> Pairs:
    """Measure pairs until every verdict is clear or the plan ends.

    Args:
        next_pair: starts a fresh pair of processes and returns its ratios.
        references: the baselines' quantities, each of which needs a verdict; if there are none,
            as many pairs are measured as a baseline needs.
        allowed: the allowed increase of each quantity that a baseline has to resolve.
        looks: numbers of pairs after which the run is compared.
    """
    pairs = Pairs()

    def look(found: list[Ratios], count: int) -> None:
        found += [next_pair() for _ in range(count - len(found))]

    if not references:
        for count in BASELINE_LOOKS:
            look(pairs.screen, count)
            if all(resolved(of(pairs.screen, name)) <= limit for name, limit in (allowed or {}).items()):
                break
        return pairs
    for count in looks:
        look(pairs.screen, count)
        words = _words(references, pairs.screen, looks)
        # All of them: a slowdown against one baseline must not leave the other one without a verdict.
        if UNCLEAR not in words:
            break
    suspected = [reference for reference, word in zip(references, words, strict=True) if word == WORSE]
    for count in CONFIRM_LOOKS if suspected and len(looks) > 1 else ():
        look(pairs.confirmation, count)
        if UNCLEAR not in _words(suspected, pairs.confirmation, CONFIRM_LOOKS):
            break
    return pairs


def _words(references: Sequence[Reference], pairs: Sequence[Ratios], looks: Sequence[int]) -> list[str]:
    """The verdicts at a look."""
    last = len(pairs) >= looks[-1]
    return [reference.word(of(pairs, reference.quantity), last=last) for reference in references]
