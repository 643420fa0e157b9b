"""The cells and values of the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crnn.gate.column import Value
from crnn.report.results import Results
from crnn.report.selection import Placed, Request, Selection

Benchmarks = Sequence[Mapping[str, Any]]
"""The ``benchmarks`` of a pytest-benchmark JSON; of each only ``fullname`` and ``extra_info`` are read."""


@dataclass(frozen=True)
class Table:
    """Results as a request shows them."""

    results: Results
    selection: Selection

    @classmethod
    def of(cls, benchmarks: Benchmarks, request: Request, *, everything: bool = False, narrow: bool = False) -> "Table":
        """Read the benchmarks and answer the request; arguments as in ``Selection.of``."""
        results = Results.read(benchmarks)
        return cls(results, Selection.of(results, request, everything=everything, narrow=narrow))

    def value(self, name: str, placed: Placed) -> Value:
        """The value of a row."""
        key = placed.record, placed.size
        measured = self.results.rows[name].get(key)
        if measured is None:
            return Value()
        reference = self.selection.reference_of(self.results, name)
        rows = [row[key] for row in self.results.rows.values() if key in row]
        return placed.column.value(measured, self.results.rows.get(reference, {}).get(key), rows)

    @property
    def names(self) -> list[str]:
        """The rows, in the requested order; rows without the value come last."""
        if (by := self.selection.sort) is None:
            return list(self.results.rows)

        def rank(name: str) -> tuple[bool, Any]:
            value = self.value(name, by).value
            return value is None, (-value if by.column.descending else value) if value is not None else 0

        return sorted(self.results.rows, key=rank)

    @property
    def headings(self) -> tuple[str, ...]:
        """The heading of each column."""
        return tuple(placed.heading for placed in self.selection.columns)

    def cells(self, *, short: bool = False) -> list[tuple[str, ...]]:
        """The cells of each row as text.

        Args:
            short: see ``Column.text``.
        """

        def cell(name: str, placed: Placed) -> str:
            measured = self.results.rows[name].get((placed.record, placed.size))
            value = self.value(name, placed)
            return placed.column.text(value, measured.record if measured else self.results.identity(name), short=short)

        return [tuple(cell(name, placed) for placed in self.selection.columns) for name in self.names]

    @property
    def raw(self) -> list[dict[str, Any]]:
        """The values of each row, unrounded, in the units of the records."""
        return [
            {
                key: part
                for placed in self.selection.columns
                for key, part in placed.raw(self.value(name, placed)).items()
            }
            for name in self.names
        ]
