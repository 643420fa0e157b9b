"""Several runs side by side: a line per row, a column per measurement and run."""

from collections.abc import Sequence
from typing import NamedTuple

from crnn.gate.column import ABSENT
from crnn.report.page.content import Shown
from crnn.report.selection import Placed

# Speed-ups of each run's own reference, and no times: those of different machines and hours do not compare.
_SPEED, _OTHERS = "speedup", {"cer", "memory", "shipped"}


class SideBySide(NamedTuple):
    """Rows of several runs, joined by name.

    Attributes:
        headings: of the measurements; each has a column per run.
        rows: name and cells, by measurement and in it by run; a dash where a run lacks the row or the measurement.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def _kept(run: Shown) -> list[Placed]:
    """The columns that are compared: speed-ups at the smallest and the largest batch size, and what has no size."""
    ends = run.results.sizes[:1] + run.results.sizes[-1:]
    return [
        placed
        for placed in run.table.selection.columns
        if (placed.column.key == _SPEED and placed.size in ends)
        or (placed.column.key in _OTHERS and placed.size is None)
    ]


def side_by_side(runs: Sequence[Shown]) -> SideBySide:
    """Join the rows of runs by name, in the order of the first run that has them."""
    headings = tuple(dict.fromkeys(placed.heading for run in runs for placed in _kept(run)))
    found = [
        {
            name: dict(zip(run.table.headings, cells, strict=True))
            for name, cells in zip(run.table.names, run.table.cells(), strict=True)
        }
        for run in runs
    ]
    names = dict.fromkeys(name for run in runs for name in run.table.names)
    return SideBySide(
        headings,
        tuple(
            (name, tuple(run.get(name, {}).get(heading, ABSENT) for heading in headings for run in found))
            for name in names
        ),
    )
