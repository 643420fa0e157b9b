"""What one measurement declares of itself; ``measures.py`` holds the declarations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from crnn.gate.column import Column
from crnn.gate.limits import Limit
from crnn.gate.verdicts import Verdict
from crnn.measure.record import Record
from crnn.measure.records import Identity, Measured, kind_of

Comparison = Callable[[Any], Verdict]
"""Compares a ``comparisons.Pair``."""

CORPUS = ("corpus_sha256",)
"""Fields that have to agree, or the two numbers do not answer the same question."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measurement, and how it is compared.

    Attributes:
        name: as in ``--gate``.
        record: the kind of record that holds it.
        key: the compared field of the record, or of the identity beside it.
        compare: the function that compares two values.
        limit: the default limit.
        worse: the verdict if the value rises beyond the limit.
        better: the verdict if it falls beyond the limit.
        agree: fields of record and identity that have to be equal on both sides.
        same_machine: whether the machines' fingerprints have to be equal.
        widest: the largest increase, as a fraction, that may take the limit's place where process pairs spread.
        measured_longer: whether a baseline measures more process pairs where they do not resolve the limit.
        units: the units in which a limit may be written.
        positive: whether the limit has to be above zero.
        scale: factor that converts the value to the shown unit.
        unit: the shown unit.
        columns: its columns of the table.
    """

    name: str
    record: type[Record]
    key: str
    limit: Limit
    compare: Comparison
    worse: str = "larger"
    better: str = "smaller"
    agree: tuple[str, ...] = CORPUS
    same_machine: bool = False
    widest: float = 0.0
    measured_longer: bool = True
    units: tuple[str, ...] = ("%", "")
    positive: bool = False
    scale: float = 1
    unit: str = ""
    columns: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        known = {item.name for kind in (self.record, Identity) for item in fields(kind)}
        if unknown := {self.key, *self.agree} - known:
            raise ValueError(f"{self.name}: {self.record.__name__} has no {', '.join(sorted(unknown))}")

    def measured_in(self, info: Mapping[str, Any]) -> bool:
        """Whether a benchmark's ``extra_info`` holds this measurement."""
        return kind_of(info) is self.record

    def value(self, measured: Measured, key: str | None = None) -> Any:
        """The compared value, or another field of the record or the identity."""
        key = key or self.key
        return getattr(measured.record if hasattr(measured.record, key) else measured.identity, key, None)

    def shown(self, value: Any) -> str:
        """A value as text, without its unit."""
        if isinstance(value, str):
            return value[:12]
        if value is None:
            return "-"
        scaled = value * self.scale
        return f"{scaled:,.0f}" if isinstance(value, int) else f"{scaled:.4g}"
