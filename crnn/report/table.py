"""The table of results: one row per variant, from the benchmarks of a pytest-benchmark JSON.

The terminal, ``python -m crnn report`` and the README show the same rows. The measurements
declare the columns, see ``crnn/gate/columns.py``.
"""

from collections.abc import Mapping
from typing import Any

from crnn.report import caption, forms
from crnn.report.contents import Benchmarks, Table
from crnn.report.results import ReportError
from crnn.report.selection import ALL, Request

__all__ = [
    "ALL",
    "CSV",
    "FORMS",
    "JSON",
    "LATEX",
    "MARKDOWN",
    "TERMINAL",
    "ReportError",
    "Request",
    "benchmarks_of",
    "render",
    "render_run",
    "rows",
]

TERMINAL, MARKDOWN, CSV, JSON, LATEX = FORMS = ("table", "markdown", "csv", "json", "latex")


def rows(benchmarks: Benchmarks, request: Request | None = None) -> list[tuple[str, ...]]:
    """The headings, and the cells of each row.

    Raises:
        ReportError: there is nothing to report, a benchmark cannot be read, or the request cannot be answered.
    """
    table = Table.of(benchmarks, request or Request())
    return [table.headings, *table.cells()]


def render(
    benchmarks: Benchmarks,
    request: Request | None = None,
    form: str = MARKDOWN,
    *,
    machine: Mapping[str, Any] | None = None,
    width: int | None = None,
) -> str:
    """The table and its caption.

    CSV and JSON hold unrounded values, by default of every column and batch size; CSV has no caption.

    Args:
        benchmarks: the measurements.
        request: what to show; by default the default columns at the smallest and the largest batch size.
        form: one of ``FORMS``.
        machine: how the machine was watched: ``watched``, and ``unavailable``, the reason if it was not.
        width: of the terminal, in characters; a wider table is split. None: never split.

    Raises:
        ReportError: there is nothing to report, a benchmark cannot be read, or the request cannot be answered.
    """
    request = request or Request()
    table = Table.of(benchmarks, request, everything=form in (CSV, JSON), narrow=form == TERMINAL)
    if form == CSV:
        return forms.csv(table)
    if form == JSON:
        return forms.json(table, caption.settings(table, machine), caption.sentences(table, machine))
    if form == LATEX:
        return forms.latex(table, caption.sentences(table, machine))
    if form == TERMINAL:
        return forms.terminal(table, caption.sentences(table, machine, short=True), width)
    return forms.markdown(table, caption.sentences(table, machine))


def benchmarks_of(run: Any) -> Benchmarks:
    """The benchmarks of a saved run.

    Raises:
        ReportError: the JSON is none of pytest-benchmark's.
    """
    if not isinstance(run, dict) or "benchmarks" not in run:
        raise ReportError("not a pytest-benchmark JSON")
    return run["benchmarks"]


def render_run(run: Any, request: Request | None = None, form: str = MARKDOWN, *, width: int | None = None) -> str:
    """The table of a saved run.

    Args:
        run: a pytest-benchmark JSON, as loaded.
        request: as in ``render``.
        form: as in ``render``.
        width: as in ``render``.

    Raises:
        ReportError: as in ``render``, or the JSON is none of pytest-benchmark's.
    """
    benchmarks = benchmarks_of(run)
    return render(benchmarks, request, form, machine=run.get("crnn", {}).get("machine"), width=width)
