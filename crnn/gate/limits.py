"""How much of a change each measurement may show: the defaults in one place, and how they are overridden."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_FORM = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>%|pp)?")


@dataclass(frozen=True)
class Limit:
    """A change that must not be missed; None as the number switches the measurement off.

    Attributes:
        number: in the unit.
        unit: ``%`` of the value before, ``pp`` (percentage points of a fraction) or the
            measurement's own unit where empty.
    """

    number: float | None
    unit: str = ""

    def allowed(self, before: float) -> float:
        """In the measurement's own unit, of a value before."""
        if self.number is None:
            return float("inf")
        return self.number / 100 * (abs(before) if self.unit == "%" else 1) if self.unit else self.number

    def __str__(self) -> str:
        return "off" if self.number is None else f"{self.number:g}{self.unit and ' ' + self.unit}"


DEFAULTS: Mapping[str, Limit] = {
    # One thread, one core, ratio to the anchor, fresh processes: what is compared from run to run.
    "latency": Limit(5, "%"),
    # All cores and default thread pools, one process: it swings, so only what is gross counts.
    "deployed": Limit(100, "%"),
    "cer": Limit(0.1, "pp"),
    "loss": Limit(5, "%"),
    "parameters": Limit(0, "%"),
    "nonzero": Limit(1, "%"),
    "multiply_adds": Limit(0, "%"),
    "bytes": Limit(1, "%"),
    "compressed": Limit(1, "%"),
    "memory": Limit(10, "%"),
    # The file itself: another SHA-256 is another model, and wants a baseline of its own.
    "artifact": Limit(0),
}


class LimitError(ValueError):
    """A limit that cannot be read; the message says what is expected."""


def parse(text: str) -> dict[str, Limit]:
    """Limits such as ``latency=5%,cer=0.1pp,memory=off``.

    Raises:
        LimitError: no such measurement, or no such form.
    """
    limits = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in DEFAULTS:
            raise LimitError(f"no measurement {name!r}; there are: {', '.join(DEFAULTS)}")
        form = _FORM.fullmatch(value)
        if value == "off":
            limits[name] = Limit(None)
        elif form is None:
            raise LimitError(f"{part}: expected a number with % or pp behind it, such as latency=2.5%, or off")
        elif form["unit"] == "pp" and name != "cer":
            raise LimitError(f"{part}: percentage points are for cer; use %")
        elif name == "latency" and (form["unit"] != "%" or not float(form["number"])):
            raise LimitError(f"{part}: latency takes a percentage above zero: no two runs take the same time")
        else:
            limits[name] = Limit(float(form["number"]), form["unit"] or "")
    return limits


def limits_of(own: Mapping[str, str], asked: Mapping[str, Limit]) -> dict[str, Limit]:
    """Defaults, below them a variant's own from the registry, below those what the command line asks for.

    Args:
        own: such as ``{"latency": "8%"}``.
        asked: what ``parse`` gave.
    """
    return {**DEFAULTS, **parse(",".join(f"{name}={value}" for name, value in own.items())), **asked}
