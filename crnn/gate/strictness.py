"""How strict a suite is: its limits, thresholds, watched rows and default batch sizes.

A change under test could loosen them so that no verdict is left to fail. So they are saved with each run,
and what got looser since the baseline is a verdict of its own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from crnn.gate.limits import Limit
from crnn.gate.measures import limits_of
from crnn.gate.verdicts import LOOSENED, Verdict
from crnn.registry.variant import Variant

KEY = "strictness"
"""Of the saved run's ``crnn``."""

# Thresholds that are no upper bounds: the measured values have to be equal, or they are limits.
_OTHER = {"parameters", "macs", "gate"}


def strictness(variants: Iterable[Variant], batch_sizes: Sequence[int]) -> dict[str, Any]:
    """What a run saves.

    Args:
        variants: of the registry.
        batch_sizes: that a run measures by default.
    """
    return {
        "batch_sizes": list(batch_sizes),
        "limits": {name: str(limit) for name, limit in limits_of({}, {}).items()},
        "variants": {
            variant.name: {
                "watched": variant.watched,
                "thresholds": {
                    name: value
                    for name, value in asdict(variant.thresholds).items()
                    if name not in _OTHER and value is not None
                },
                "limits": dict(variant.thresholds.gate),
            }
            for variant in variants
        },
    }


def _looser(before: Any, after: Any) -> bool:
    """Whether a threshold is higher than before, or gone."""
    return before is not None and (after is None or after > before)


def _looser_limit(before: str, after: str) -> bool:
    """Whether a limit allows more than before, or is written in another unit: nobody can tell then."""
    old, new = Limit.parse(before.replace(" ", "")), Limit.parse(after.replace(" ", ""))
    if old.number is None or old == new:
        return False
    return new.number is None or new.unit != old.unit or new.number > old.number


def _of_row(
    before: Mapping[str, Any], after: Mapping[str, Any], defaults: Sequence[Mapping[str, str]]
) -> Iterator[tuple[str, Any, Any]]:
    """What a row loosened: name, before and after.

    Args:
        before: the row in the baseline.
        after: the row in the run.
        defaults: limits of all rows in the baseline and in the run.
    """
    if before["watched"] and not after["watched"]:
        yield "watched", "yes", "no"
    for name, old in before["thresholds"].items():
        new = after["thresholds"].get(name)
        if _looser(old, new):
            yield name, old, new
    limits = [{**default, **side["limits"]} for default, side in zip(defaults, (before, after), strict=True)]
    for name, old in limits[0].items():
        new = limits[1].get(name, "off")
        if _looser_limit(old, new):
            yield f"gate.{name}", old, new


def loosened(before: Mapping[str, Any], after: Mapping[str, Any], baseline: str = "baseline") -> list[Verdict]:
    """What is looser than in the baseline; rows that only one of the two has do not count.

    Args:
        before: what ``strictness`` returned for the baseline.
        after: the same of the run.
        baseline: its name in the verdicts.
    """
    found = [
        Verdict(name, what, LOOSENED, str(old), str(new), baseline=baseline)
        for name, row in before["variants"].items()
        if name in after["variants"]
        for what, old, new in _of_row(row, after["variants"][name], (before["limits"], after["limits"]))
    ]
    if gone := [size for size in before["batch_sizes"] if size not in after["batch_sizes"]]:
        old, new = (", ".join(map(str, side["batch_sizes"])) for side in (before, after))
        reason = f"without {', '.join(map(str, gone))}"
        found.append(Verdict("defaults", "batch_sizes", LOOSENED, old, new, reason=reason, baseline=baseline))
    return found
