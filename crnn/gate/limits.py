"""Limits: the largest change of a measurement that passes, and how it is written."""

import re
from dataclasses import dataclass

_FORM = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>%|pp)?")


class LimitError(ValueError):
    """A limit that cannot be read; the message says what is expected."""


@dataclass(frozen=True)
class Limit:
    """The largest change that passes. None as the number switches the comparison off.

    Attributes:
        number: in the unit.
        unit: ``%`` of the value before, ``pp`` (percentage points of a fraction), or empty for
            the measurement's own unit.
    """

    number: float | None
    unit: str = ""

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """A limit such as ``2.5%``, ``0.1pp``, ``3`` or ``off``.

        Raises:
            LimitError: the text has another form.
        """
        if text == "off":
            return cls(None)
        if (form := _FORM.fullmatch(text)) is None:
            raise LimitError(f"expected a number followed by % or pp, such as 2.5%, or off; found {text!r}")
        return cls(float(form["number"]), form["unit"] or "")

    def allowed(self, before: float) -> float:
        """The limit in the measurement's own unit, given the value before."""
        if self.number is None:
            return float("inf")
        return self.number / 100 * (abs(before) if self.unit == "%" else 1) if self.unit else self.number

    def __str__(self) -> str:
        return "off" if self.number is None else f"{self.number:g}{self.unit and ' ' + self.unit}"
