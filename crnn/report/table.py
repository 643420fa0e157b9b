"""The table of results: one row per variant, from the benchmarks of a pytest-benchmark JSON.

The terminal, ``python -m crnn report`` and the README show the same rows. The measurements
declare the columns, see ``crnn/gate/measures.py``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from crnn.gate.columns import ABSENT
from crnn.gate.measures import MEASURES
from crnn.measure.records import Identity, Latency, Measured, Record, RecordError, measured
from crnn.registry import VARIANTS

_IDENTITY = ("variant", "optimization", "runtime")
_COLUMNS = tuple((measure.record, column) for measure in MEASURES for column in measure.columns)
HEADINGS = (*_IDENTITY, *(column.heading for _, column in _COLUMNS))

Row = Mapping[type[Record], Measured]
"""The measurements of one variant, by kind of record."""


class ReportError(ValueError):
    """Raised for benchmarks that hold nothing to report or cannot be read."""


def _by_variant(benchmarks: Sequence[Mapping[str, Any]]) -> Mapping[str, Row]:
    """The measurements of each variant; of its latencies the one at the largest batch size."""
    found: dict[str, dict[type[Record], Measured]] = defaultdict(dict)
    for benchmark in sorted(benchmarks, key=lambda entry: entry["extra_info"].get("batch_size_lines", 0)):
        try:
            entry = measured(benchmark["extra_info"])
        except RecordError as error:
            raise ReportError(f"{benchmark.get('fullname', 'a benchmark')}: {error}") from None
        if entry and entry.identity:
            found[entry.identity.variant][type(entry.record)] = entry
    return found


def _identity(row: Row) -> Identity:
    identity = next(iter(row.values())).identity
    assert identity is not None  # noqa: S101 rows are grouped by it
    return identity


def _cells(row: Row) -> tuple[str, ...]:
    identity = _identity(row)
    shown = (column.shown(row[record]) if record in row else ABSENT for record, column in _COLUMNS)
    return (identity.variant, identity.technique, identity.runtime, *shown)


def rows(benchmarks: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Cells under ``HEADINGS``, in the registry's order.

    Raises:
        ReportError: no benchmark of this suite is among them, or one cannot be read.
    """
    found = _by_variant(benchmarks)
    if not found:
        raise ReportError("no results of this suite: nothing to report")
    order = {variant.name: index for index, variant in enumerate(VARIANTS)}
    names = sorted(found, key=lambda name: (order.get(name, len(order)), name))
    return [_cells(found[name]) for name in names]


def caption(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    """The settings behind the numbers: batch size, device, threads, corpus."""
    found = _by_variant(benchmarks).values()
    identities = [_identity(row) for row in found]

    def values(key: str) -> str:
        found = {getattr(identity, key) for identity in identities} - {None}
        return ", ".join(sorted(map(str, found))) or "not measured"

    records = [row[Latency].record for row in found if Latency in row]
    batch = max((record.batch_size_lines for record in records if isinstance(record, Latency)), default=0)
    timed = f"Batch of {batch} lines" if batch else "Latency not measured"
    return (
        f"{timed}; device: {values('device')}; threads: {values('threads_count')}; "
        f"corpus: {values('corpus')}, {values('lines_count')} test lines. In brackets: 95 % intervals. "
        "Speed-up: over the original of the same framework, from paired, interleaved blocks. "
        "CER - original's: in points, resampled over the same lines."
    )


def markdown(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    """The table as Markdown, its caption below."""
    cells = rows(benchmarks)
    alignment = ["---" if column < len(_IDENTITY) else "---:" for column in range(len(HEADINGS))]
    lines = [f"| {' | '.join(row)} |" for row in (HEADINGS, alignment, *cells)]
    return "\n".join([*lines, "", caption(benchmarks)])


def plain(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    """The table for a terminal, its caption below."""
    cells = [HEADINGS, *rows(benchmarks)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.ljust(width) if column < len(_IDENTITY) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:]), "", caption(benchmarks)])
