"""The measurements of a run by variant, kind and batch size."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from crnn.measure.record import Record, RecordError
from crnn.measure.records import Identity, Measured, measured
from crnn.registry import VARIANTS

Key = tuple[type[Record], int | None]
"""A kind of record, and the batch size if the kind has one."""


class ReportError(ValueError):
    """Raised for benchmarks that cannot be reported, and for a request that they cannot answer."""


def _read(benchmark: Mapping[str, Any]) -> Measured | None:
    try:
        return measured(benchmark.get("extra_info", {}))
    except RecordError as error:
        name = benchmark.get("fullname", "a benchmark")
        raise ReportError(f"{name}: {error}: damaged, or saved by an older version") from None


@dataclass(frozen=True)
class Results:
    """What a run measured.

    Attributes:
        rows: the measurements of each variant, in the registry's order, unknown variants last.
        sizes: the batch sizes at which latency was measured, ascending.
    """

    rows: Mapping[str, Mapping[Key, Measured]]
    sizes: tuple[int, ...]

    @classmethod
    def read(cls, benchmarks: Sequence[Mapping[str, Any]]) -> "Results":
        """Read the benchmarks of a pytest-benchmark JSON.

        Raises:
            ReportError: no benchmark of this suite is among them, or one cannot be read.
        """
        rows: dict[str, dict[Key, Measured]] = defaultdict(dict)
        for entry in map(_read, benchmarks):
            if entry and entry.identity:
                row = rows[entry.identity.variant]
                row[type(entry.record), getattr(entry.record, "batch_size_lines", None)] = entry
                row[Identity, None] = Measured(entry.identity, entry.identity)
        if not rows:
            raise ReportError("no results of this suite: nothing to report")
        order = {variant.name: index for index, variant in enumerate(VARIANTS)}
        names = sorted(rows, key=lambda name: (order.get(name, len(order)), name))
        sizes = {size for row in rows.values() for _, size in row if size is not None}
        return cls({name: rows[name] for name in names}, tuple(sorted(sizes)))

    def only(self, patterns: Sequence[str]) -> "Results":
        """The rows whose names match one of the shell-style patterns.

        Raises:
            ReportError: none does; the message lists the names.
        """
        rows = {name: row for name, row in self.rows.items() if any(fnmatchcase(name, one) for one in patterns)}
        if not rows:
            raise ReportError(f"no row matches {','.join(patterns)}; there are: {', '.join(self.rows)}")
        return replace(self, rows=rows)

    def identity(self, name: str) -> Identity:
        """What the row is."""
        record = self.rows[name][Identity, None].record
        if not isinstance(record, Identity):
            raise TypeError(f"{name}: {type(record).__name__}")
        return record
