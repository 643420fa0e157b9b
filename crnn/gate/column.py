"""What a column of the table declares of itself; ``columns.py`` holds the declarations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import floor, log10
from typing import Any, NamedTuple

from crnn.measure import speedup as estimates
from crnn.measure.record import Record
from crnn.measure.records import Measured

ABSENT = "-"
REFERENCE, UNPAIRED = "reference", "not paired"
# Words that are no news, and a sign where a terminal has no room for words.
_SILENT, _SHORT = ("", estimates.FASTER, estimates.ONE_PROCESS), {estimates.NO_DIFFERENCE: "~"}
_VERDICT_WIDTH = len(estimates.SLOWER)


class Place(IntEnum):
    """Where a column stands in the table."""

    ROW = 0
    SPEED = 1
    ACCURACY = 2
    MEMORY = 3
    LOAD = 4
    FIRST_CALL = 5
    SIZE = 6
    MODEL = 7
    ON_REQUEST = 8


class Value(NamedTuple):
    """A value in the unit of its record, the ends of its 95 % interval, and a verdict; None where there is none."""

    value: Any = None
    low: float | None = None
    high: float | None = None
    verdict: str = ""


Reader = Callable[[Measured, Measured | None, Sequence[Measured]], Value]
"""Reads a value from a measurement, from the same of the reference row, None if there is none, and of all rows."""


def _no_addition(_: Record) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table; for a record with a batch size, one per size.

    Attributes:
        key: as in ``--columns`` and ``--sort``.
        heading: with the shown unit.
        name: the record's field without its unit.
        unit: of the field; empty for text.
        form: format of the shown value; empty for three significant digits.
        scale: factor that converts the value to the shown unit.
        place: its place in the table; ``ON_REQUEST`` if it is only shown when asked for.
        interval: whether the record also has the fields ``name_low_unit`` and ``name_high_unit``.
        first: whether only the smallest measured batch size has this column.
        terminal: whether it is one of a terminal's default columns; a terminal has no room for all of them.
        descending: whether large values are sorted first.
        verdicts: whether its values have a verdict.
        read: reads the value if it is no field of the record.
        addition: text after the value.
        note: a sentence for the caption.
    """

    key: str
    heading: str
    name: str
    unit: str = ""
    form: str = ""
    scale: float = 1
    place: Place = Place.ON_REQUEST
    interval: bool = False
    first: bool = False
    terminal: bool = True
    descending: bool = False
    verdicts: bool = False
    read: Reader | None = None
    addition: Callable[[Record], str] = _no_addition
    note: str = ""

    @property
    def is_text(self) -> bool:
        """Whether its values are text; every number has a unit."""
        return not self.unit

    def field(self, part: str = "") -> str:
        """The record's field of the value, or of its part ``low`` or ``high``."""
        return "_".join(filter(None, (self.name, part, self.unit)))

    def value(self, measured: Measured, reference: Measured | None, rows: Sequence[Measured]) -> Value:
        """The value of a row.

        Args:
            measured: the row's measurement.
            reference: the same measurement of the reference row, if there is one.
            rows: the same measurement of all rows.
        """
        if self.read:
            return self.read(measured, reference, rows)
        parts = ("", "low", "high") if self.interval else ("",)
        return Value(*(getattr(measured.record, self.field(part)) for part in parts))

    def raw(self, value: Value, suffix: str = "") -> dict[str, Any]:
        """The value, its interval and its verdict, unrounded, under the names of the record's fields.

        Args:
            value: what ``value`` returned.
            suffix: of each name.
        """
        found = {self.field(): value.value}
        if self.interval:
            found |= {self.field("low"): value.low, self.field("high"): value.high}
        if self.verdicts:
            found[f"{self.name}_verdict"] = value.verdict or None
        return {f"{name}{suffix}": part for name, part in found.items()}

    def text(self, value: Value, record: Record, *, short: bool = False) -> str:
        """A cell, such as ``0.96 [0.93, 0.99] slower``.

        Args:
            value: what ``value`` returned.
            record: that it was read from.
            short: whether to save width: ``0.96 ±0.03 slower``, and what is in parentheses on a line of its own.
        """
        if value.value is None:
            return ABSENT
        if value.verdict == REFERENCE:
            return f"{value.value:g} ({REFERENCE})"
        addition = self.addition(record)
        if short:
            addition = addition.replace(" (", "\n(")
        if isinstance(value.value, str):
            return f"{value.value}{addition}"
        form = self.form or _three_digits(value.value * self.scale)
        parts = [f"{value.value * self.scale:{form}}{addition}"]
        if value.low is not None and value.high is not None:
            if short:
                farther = max(value.high - value.value, value.value - value.low)
                parts.append(f"±{farther * self.scale:{form.removeprefix('+')}}")
            else:
                parts.append(f"[{value.low * self.scale:{form}}, {value.high * self.scale:{form}}]")
            if self.verdicts and short:
                # Padded, so that the numbers of a column stand below each other.
                word = "" if value.verdict in _SILENT else _SHORT.get(value.verdict, value.verdict)
                return " ".join([*parts, word.ljust(_VERDICT_WIDTH)])
        return " ".join(parts if value.verdict in _SILENT else [*parts, value.verdict])


def _three_digits(shown: float) -> str:
    decimals = max(0, 2 - floor(log10(abs(shown)))) if shown else 2
    return f",.{decimals}f"
