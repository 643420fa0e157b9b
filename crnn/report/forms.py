"""The forms of the table: for a terminal, Markdown, LaTeX, CSV and JSON."""

import csv as csv_writer
import io
import json as json_writer
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from crnn.report.contents import Table

_GAP = "  "
# Longer texts are folded in a terminal; no number is as long.
_TEXT_WIDTH = 20


def markdown(table: Table, sentences: Sequence[str]) -> str:
    """The table as Markdown, its caption below."""
    alignment = ["---" if placed.column.is_text else "---:" for placed in table.selection.columns]
    rows = [table.headings, *table.cells()]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in (escaped[0], alignment, *escaped[1:])]
    return "\n".join([*lines, "", " ".join(sentences)])


_ESCAPED = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)


def latex(table: Table, sentences: Sequence[str]) -> str:
    """The table for a paper, with the rules of ``booktabs``; its caption in comments below."""
    alignment = "".join("l" if placed.column.is_text else "r" for placed in table.selection.columns)
    heading, *rows = (
        " & ".join(cell.translate(_ESCAPED) for cell in row) + r" \\" for row in (table.headings, *table.cells())
    )
    begin, end = rf"\begin{{tabular}}{{{alignment}}}", r"\end{tabular}"
    lines = [begin, r"\toprule", heading, r"\midrule", *rows, r"\bottomrule", end]
    return "\n".join([*lines, *(f"% {sentence}" for sentence in sentences)])


def csv(table: Table) -> str:
    """The unrounded values as CSV, under the names of the records' fields; empty where there is none."""
    text, rows = io.StringIO(), table.raw
    writer = csv_writer.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def json(table: Table, settings: Mapping[str, Any], sentences: Sequence[str]) -> str:
    """The unrounded values as JSON: ``settings``, ``caption`` and ``rows``, one object per row."""
    content = {"settings": settings, "caption": " ".join(sentences), "rows": table.raw}
    return json_writer.dumps(content, indent=1, ensure_ascii=False)


def _folded(cell: str, width: int) -> list[str]:
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    return [part for line in cell.split("\n") for part in wrapper.wrap(line) or [""]]


def _blocks(widths: Sequence[int], width: int | None) -> Iterator[list[int]]:
    """Columns that fit beside each other; each block repeats the first one, the row's name."""
    block = [0]
    for column in range(1, len(widths)):
        taken = sum(widths[index] + len(_GAP) for index in block)
        if width and len(block) > 1 and taken + widths[column] > width:
            yield block
            block = [0]
        block.append(column)
    yield block


def terminal(table: Table, sentences: Sequence[str], width: int | None = None) -> str:
    """The table for a terminal, its caption below.

    Args:
        table: the table.
        sentences: of the caption, one per line.
        width: in characters; a wider table is split into blocks below each other.
    """
    is_text = [placed.column.is_text for placed in table.selection.columns]
    cells = [
        [_folded(cell, _TEXT_WIDTH) if text else cell.split("\n") for cell, text in zip(row, is_text, strict=True)]
        for row in table.cells(short=True)
    ]
    widths = [
        max(map(len, [*heading.split(), *(line for cell in column for line in cell)]))
        for heading, column in zip(table.headings, zip(*cells, strict=True), strict=True)
    ]
    headings = [_folded(heading, size) for heading, size in zip(table.headings, widths, strict=True)]
    rule = [["-" * size] for size in widths]

    def line(parts: Sequence[str], block: Sequence[int]) -> str:
        aligned = (parts[i].ljust(widths[i]) if is_text[i] else parts[i].rjust(widths[i]) for i in block)
        return _GAP.join(aligned).rstrip()

    lines = []
    for block in _blocks(widths, width):
        for row in (headings, rule, *cells):
            lines += [line(parts, block) for parts in zip_longest(*row, fillvalue="") if any(parts[i] for i in block)]
        lines.append("")
    return "\n".join([*lines, *sentences])
