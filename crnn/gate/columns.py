"""Columns of the table: a heading, and the function that renders a cell from a measurement's record."""

from collections.abc import Callable
from typing import Any, NamedTuple

from crnn.measure.records import Footprint, Identity, Latency, Measured

ABSENT = "-"
# In quantized rows rounding alone makes some weights zero.
_NOTABLE = 0.9

Shown = Callable[[Measured], str]


class Column(NamedTuple):
    """One column of the table."""

    heading: str
    shown: Shown


def number(key: str, form: str, scale: float = 1) -> Shown:
    """A renderer of one value of the record."""

    def shown(measured: Measured) -> str:
        value = getattr(measured.record, key)
        return ABSENT if value is None else format(value * scale, form)

    return shown


def interval(name: str, unit: str, form: str, scale: float = 1) -> Shown:
    """A renderer of a value with its interval, such as ``5.3 [5.1, 5.6]``.

    The record's fields are ``name_unit``, ``name_low_unit`` and ``name_high_unit``.
    """

    def shown(measured: Measured) -> str:
        value: Any
        value, low, high = (getattr(measured.record, f"{name}_{part}{unit}") for part in ("", "low_", "high_"))
        if value is None:
            return ABSENT
        ends = "" if low is None or high is None else f" [{low * scale:{form}}, {high * scale:{form}}]"
        return f"{value * scale:{form}}{ends}"

    return shown


def _identity(measured: Measured) -> Identity:
    if measured.identity is None:
        raise TypeError("a measurement of the harness has no row in the table")
    return measured.identity


def speedup(measured: Measured) -> str:
    """The speed-up with its interval; the verdict is added if the row is not faster than its original."""
    identity, record = _identity(measured), measured.record
    if not isinstance(record, Latency):
        return ABSENT
    if identity.original == identity.variant:
        return "1 (reference)"
    shown = interval("speedup", "ratio", ".2f")(measured)
    verdict = record.speedup_verdict or "faster"
    return shown if verdict == "faster" else f"{shown} {verdict}"


def parameters(measured: Measured) -> str:
    """Stored parameters; with the nonzero ones beside them if a notable share is zero."""
    record = measured.record
    if not isinstance(record, Footprint):
        return ABSENT
    stored, nonzero = record.parameters_stored_count, record.parameters_nonzero_count
    return f"{stored:,}" if nonzero > _NOTABLE * stored else f"{stored:,} ({nonzero:,} not zero)"


def file_size(measured: Measured) -> str:
    """Kilobytes and format of the artifact."""
    record = measured.record
    return f"{record.file_bytes / 1024:,.0f} KB {record.file_format}" if isinstance(record, Footprint) else ABSENT
