"""What a report shows: its columns, batch sizes, order of rows and reference."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

from crnn.gate.column import Column, Place
from crnn.gate.columns import IDENTITY
from crnn.gate.measures import MEASURES
from crnn.measure.record import Record
from crnn.measure.records import Identity
from crnn.report.results import ReportError, Results

ALL, ORIGINAL = "all", "original"
DEFAULT_REFERENCE = "torch-original"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks for.

    Attributes:
        reference: the row that speed-ups refer to; ``original`` for each row's own original. None for
            ``torch-original``, without speed-ups if it was not measured.
        reference_required: whether another reference that was not measured is an error; if not, there are
            no speed-ups.
        batch: one batch size, or ``all``. None for the smallest and the largest one; for all where there
            is room.
        sort: key of the column that orders the rows; None for the registry's order.
        columns: keys of the columns beside the name; none for the default ones. A key without its batch
            size stands for every shown size.
    """

    reference: str | None = None
    reference_required: bool = True
    batch: int | Literal["all"] | None = None
    sort: str | None = None
    columns: tuple[str, ...] = ()


class Placed(NamedTuple):
    """A column of a kind of record, at a batch size if the kind has one."""

    column: Column
    record: type[Record]
    size: int | None = None

    @property
    def _suffix(self) -> str:
        return "" if self.size is None or self.column.first else f"@{self.size}"

    @property
    def key(self) -> str:
        """As in ``--columns``."""
        return f"{self.column.key}{self._suffix}"

    @property
    def heading(self) -> str:
        """With unit and batch size."""
        return self.column.heading if self.size is None else f"{self.column.heading}, batch {self.size}"

    def raw(self, value: Any) -> dict[str, Any]:
        """A value with its interval and verdict, under the names of the record's fields."""
        return self.column.raw(value, self._suffix)


def _declared() -> Iterator[tuple[type[Record], Column]]:
    yield from ((Identity, column) for column in IDENTITY)
    yield from ((measure.record, column) for measure in MEASURES for column in measure.columns)


def _has_size(record: type[Record]) -> bool:
    return any(field.name == "batch_size_lines" for field in fields(record))


def known(results: Results) -> list[Placed]:
    """Every column that the results can fill, in the table's order."""
    placed = []
    for record, column in _declared():
        sizes = (results.sizes[:1] if column.first else results.sizes) if _has_size(record) else (None,)
        placed += [Placed(column, record, size) for size in sizes]
    return sorted(placed, key=lambda entry: (entry.column.place, entry.size or 0))


def _list(results: Results) -> str:
    keys = [
        f"{column.key}@N" if _has_size(record) and not column.first else column.key for record, column in _declared()
    ]
    sizes = f", with N of {_joined(results.sizes)}" if results.sizes else ""
    return f"there are: {', '.join(dict.fromkeys(keys))}{sizes}"


def _joined(sizes: tuple[int, ...]) -> str:
    return ", ".join(map(str, sizes))


@dataclass(frozen=True)
class Selection:
    """The answer of some results to a request.

    Attributes:
        sizes: the shown batch sizes.
        columns: the shown columns.
        sort: the column that orders the rows, if one was asked for.
        reference: a row's name, even if it was not measured, or ``original``.
    """

    sizes: tuple[int, ...]
    columns: tuple[Placed, ...]
    sort: Placed | None
    reference: str

    @classmethod
    def of(cls, results: Results, request: Request, *, everything: bool = False, narrow: bool = False) -> "Selection":
        """Answer a request.

        Args:
            results: the results.
            request: the request.
            everything: whether every column and batch size is the default.
            narrow: whether the default columns are those of a terminal.

        Raises:
            ReportError: no such column, batch size or row; the message lists those that there are.
        """
        sizes, available = _sizes(results, request.batch, everything=everything), known(results)

        def find(key: str) -> list[Placed]:
            if exact := [entry for entry in available if entry.key == key]:
                return exact
            if found := [entry for entry in available if entry.column.key == key and entry.size in sizes]:
                return found
            raise ReportError(f"no column {key!r}; {_list(results)}")

        def is_default(entry: Placed) -> bool:
            if not (entry.size is None or entry.column.first or entry.size in sizes):
                return False
            return everything or (entry.column.place < Place.ON_REQUEST and (entry.column.terminal or not narrow))

        if request.columns:
            asked = [entry for key in ("variant", *request.columns) for entry in find(key)]
            columns = list(dict.fromkeys(asked))
        else:
            columns = list(filter(is_default, available))
        by = find(request.sort) if request.sort else [None]
        if len(by) > 1:
            raise ReportError(f"sort by one of {', '.join(entry.key for entry in by if entry)}")
        return cls(sizes, tuple(columns), by[0], _reference(results, request))

    def reference_of(self, results: Results, name: str) -> str:
        """The row that a row is compared with, even if it was not measured."""
        return results.identity(name).original if self.reference == ORIGINAL else self.reference


def _sizes(results: Results, asked: int | Literal["all"] | None, *, everything: bool) -> tuple[int, ...]:
    measured = results.sizes
    if asked == ALL or (asked is None and everything):
        return measured
    if asked is None:
        return tuple(dict.fromkeys((measured[0], measured[-1]))) if measured else ()
    if asked not in measured:
        raise ReportError(f"batch size {asked} was not measured; measured: {_joined(measured) or 'none'}")
    return (asked,)


def _reference(results: Results, request: Request) -> str:
    name = request.reference or DEFAULT_REFERENCE
    if request.reference and request.reference_required and name not in (ORIGINAL, *results.rows):
        raise ReportError(f"no row {name!r} to refer to; there are: {ORIGINAL}, {', '.join(results.rows)}")
    return name
