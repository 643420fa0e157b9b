"""Sequential measuring: process pairs until the verdict is clear; a slowdown has to be confirmed.

A look ends the measurement if the interval excludes the limit (``same``), or lies above half of
the limit (suspected). Early looks use a narrow tail, because there are several of them. The last
one uses a wider tail and a quarter of the limit, so that hardly anything stays unclear.

A machine drifts between hours, and a saved baseline is of another hour. So a suspected slowdown, and what
stayed unclear, is measured again: in pairs with the commit that the baseline was measured at, which alone
decide. Where that commit is not at hand, in a second sitting at another time, and the pairs of both decide.
``benchmarks/README.md`` says how often it is wrong.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import expm1, sqrt

from crnn.gate.intervals import Typical, kept, ratio_interval

SCREEN_LOOKS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
CONFIRM_LOOKS = (3, 4, 5, 6, 8, 10, 12, 16, 20)
QUICK_LOOKS = (1,)
# With the baseline's commit at hand, what is not clear soon is cleared up by pairs with it.
SUSPECTING_LOOKS = (2, 3, 4)
DIRECT_LOOKS = (*SCREEN_LOOKS, 28, 40)
# Nothing confirms what direct pairs show, so a slowdown needs more of them than two that are off by chance.
DIRECT_SLOWDOWN_PAIRS = 8
BASELINE_LOOKS = (6, 9, 12)
# Probability outside of the interval at each end, and the part of the limit that a slowdown has to exceed.
EARLY_TAIL, LAST_TAIL = 0.003, 0.01
EARLY_SHOWN, LAST_SHOWN = 0.5, 0.25
# The part of the limit that is excluded to be green. Where direct pairs can decide: drift hides the rest of a
# slowdown. By direct pairs before the last look: at one of many looks the whole limit is excluded too often.
SUSPECTED, DIRECTLY = 0.5, 0.8
# A baseline resolves a limit that is so many standard errors of the last look: 2.3 for its tail, and 3.7 that
# unchanged code exceeds less than once in a thousand comparisons.
_RESOLVING_ERRORS = 6.0

SAME, WORSE, BETTER, UNCLEAR = "same", "worse", "better", "unclear"


def decide(
    change: float, low: float, high: float, allowed: float, shown: float = EARLY_SHOWN, excluded: float = 1.0
) -> str:
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
        excluded: the part of it that the interval has to exclude to be green.
    """
    if high <= excluded * allowed:
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
        commit: what the baseline was measured at, if it can be paired with this one; else empty.
    """

    ratios: tuple[float, ...]
    allowed: float
    quantity: str = ""
    commit: str = ""

    @property
    def direct(self) -> "Reference":
        """For pairs with that commit itself: their ratios are the changes."""
        return replace(self, ratios=(), commit="")

    def word(self, ratios: Sequence[float], *, last: bool = True) -> str:
        """The verdict for the run's pairs against this baseline.

        Args:
            ratios: of the run.
            last: whether no more will be measured.
        """
        if tuple(ratios) == self.ratios:
            return SAME  # a run compared with itself, however widely it spreads
        ratio, low, high = ratio_interval(ratios, self.ratios, LAST_TAIL if last else EARLY_TAIL)
        shown = LAST_SHOWN if last else EARLY_SHOWN
        excluded = SUSPECTED if self.commit else 1.0 if self.ratios or last else DIRECTLY
        return decide(ratio - 1, low - 1, high - 1, self.allowed, shown, excluded)

    def verdict(self, ratios: Sequence[float], confirmation: Sequence[float]) -> str:
        """The verdict when nothing more is measured.

        Args:
            ratios: of the first sitting.
            confirmation: of the second one; empty if there is none.
        """
        decisive = self.decisive(ratios, confirmation)
        # Direct pairs ended as soon as they were clear, or at the last look.
        return self.word(decisive, last=bool(self.ratios) or len(decisive) >= DIRECT_LOOKS[-1])

    def decisive(self, ratios: Sequence[float], confirmation: Sequence[float]) -> Sequence[float]:
        """The ratios that decide: of the first sitting if it is green, else of both."""
        if not confirmation or self.word(ratios) not in (WORSE, UNCLEAR):
            return ratios
        return [*ratios, *confirmation]


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


def screen(
    next_pair: Callable[[], Ratios],
    references: Sequence[Reference],
    allowed: Mapping[str, float] | None = None,
    looks: Sequence[int] = SCREEN_LOOKS,
    slowdown_pairs: int = 0,
) -> Pairs:
    """Measure pairs until every verdict is clear or the plan ends.

    Args:
        next_pair: starts a fresh pair of processes and returns its ratios.
        references: the baselines' quantities, each of which needs a verdict; if there are none,
            as many pairs are measured as a baseline needs.
        allowed: the allowed increase of each quantity that a baseline has to resolve.
        looks: numbers of pairs after which the run is compared.
        slowdown_pairs: number of pairs before which a slowdown is not clear.
    """
    pairs = Pairs()
    if not references:
        for count in BASELINE_LOOKS:
            _add(pairs.screen, next_pair, count)
            if all(resolved(of(pairs.screen, name)) <= limit for name, limit in (allowed or {}).items()):
                break
        return pairs
    for count in looks:
        _add(pairs.screen, next_pair, count)
        # All of them: a slowdown against one baseline must not leave the other one without a verdict.
        words = _words(references, pairs.screen, looks)
        if UNCLEAR not in words and (WORSE not in words or count >= slowdown_pairs):
            break
    return pairs


def screen_directly(next_pair: Callable[[], Ratios], references: Sequence[Reference]) -> Pairs:
    """Measure pairs with another commit until every verdict is clear; they alone decide.

    Args:
        next_pair: see ``screen``.
        references: all of one commit.
    """
    direct = [reference.direct for reference in references]
    return screen(next_pair, direct, looks=DIRECT_LOOKS, slowdown_pairs=DIRECT_SLOWDOWN_PAIRS)


def not_green(references: Sequence[Reference], pairs: Pairs, looks: Sequence[int] = SCREEN_LOOKS) -> list[Reference]:
    """Those to which the screen shows a slowdown, or left it unclear; none if the plan has one look."""
    words = zip(references, _words(references, pairs.screen, looks), strict=True)
    return [reference for reference, word in words if word in (WORSE, UNCLEAR) and len(looks) > 1]


def confirm(next_pair: Callable[[], Ratios], open_ones: Sequence[Reference], pairs: Pairs) -> None:
    """The second sitting: add pairs until it is clear whether a suspected slowdown is there, and what was unclear.

    Args:
        next_pair: see ``screen``.
        open_ones: those that ``not_green`` returned.
        pairs: those that ``screen`` returned.
    """
    for count in CONFIRM_LOOKS:
        _add(pairs.confirmation, next_pair, count)
        last = count >= CONFIRM_LOOKS[-1]
        if UNCLEAR not in [_second_word(reference, pairs, last=last) for reference in open_ones]:
            break


def measure(
    next_pair: Callable[[], Ratios],
    references: Sequence[Reference],
    allowed: Mapping[str, float] | None = None,
    looks: Sequence[int] = SCREEN_LOOKS,
) -> Pairs:
    """Both sittings, the second one at once. Arguments: see ``screen``."""
    pairs = screen(next_pair, references, allowed, looks)
    if open_ones := not_green(references, pairs, looks):
        confirm(next_pair, open_ones, pairs)
    return pairs


def _add(found: list[Ratios], next_pair: Callable[[], Ratios], count: int) -> None:
    """Measure pairs until there are so many."""
    found += [next_pair() for _ in range(count - len(found))]


def _second_word(reference: Reference, pairs: Pairs, *, last: bool) -> str:
    """The verdict of a suspected or unclear quantity, during the second sitting."""
    first, second = (of(side, reference.quantity) for side in (pairs.screen, pairs.confirmation))
    return reference.word(reference.decisive(first, second), last=last)


def _words(references: Sequence[Reference], pairs: Sequence[Ratios], looks: Sequence[int]) -> list[str]:
    """The verdicts at a look."""
    last = len(pairs) >= looks[-1]
    return [reference.word(of(pairs, reference.quantity), last=last) for reference in references]
