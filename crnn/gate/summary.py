"""Verdicts as text; the terminal and a CI job summary show the same rows."""

from collections import Counter
from collections.abc import Sequence

from crnn.gate.sequential import SAME
from crnn.gate.verdicts import LOOSENED, NEW, UNLIKE_MACHINES, Verdict

_HEADINGS = ("verdict", "measurement", "benchmark", "before", "after", "change", "baseline")


def _row(verdict: Verdict) -> tuple[str, ...]:
    before, after = (f"{value}{verdict.unit}" if value else "-" for value in (verdict.before, verdict.after))
    cells = (before, after, verdict.details or "-")
    return (verdict.word, verdict.measure, verdict.test.rpartition("::")[2], *cells, verdict.baseline)


def counts(verdicts: Sequence[Verdict]) -> str:
    """Counts such as ``1 slower, 41 same``, failures first."""
    words = Counter(verdict.word for verdict in sorted(verdicts, key=lambda verdict: -verdict.status))
    return ", ".join(f"{count} {word}" for word, count in words.items()) or "nothing to compare"


def hints(verdicts: Sequence[Verdict]) -> list[str]:
    """What to do about gains, new measurements and unlike machines."""
    found = []
    if any(verdict.word != SAME for verdict in verdicts if not verdict.status):
        found.append("Gains and new measurements pass. To hold them: python -m crnn baseline promote RUN.json")
    if any(UNLIKE_MACHINES in verdict.reason for verdict in verdicts):
        found.append(
            "Save a baseline of this machine (pytest benchmarks --benchmark-save=baseline), measure a commit with "
            "--against REF, or pass without times: --gate-machine any"
        )
    if any(verdict.word == LOOSENED for verdict in verdicts):
        names = ",".join(verdict.subject for verdict in verdicts if verdict.word == LOOSENED)
        found.append(f"To accept what got looser: python -m crnn baseline promote RUN.json --loosened {names}")
    return found


def plain(verdicts: Sequence[Verdict]) -> list[str]:
    """Text rows for a terminal: every verdict but same and new, then the counts."""
    shown = [verdict for verdict in verdicts if verdict.word not in (SAME, NEW)]
    rows = [_HEADINGS, *map(_row, shown)] if shown else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, counts(verdicts), *hints(verdicts)]


def markdown(verdicts: Sequence[Verdict], title: str) -> str:
    """Markdown for a job summary: failures, gains, and all verdicts in a folded section."""

    def table(rows: Sequence[Verdict]) -> list[str]:
        cells = [_HEADINGS, ["---"] * len(_HEADINGS), *map(_row, rows)]
        return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells]

    lines = [f"## {title}", "", counts(verdicts), ""]
    if failed := [verdict for verdict in verdicts if verdict.status]:
        lines += ["### Failed", "", *table(failed), ""]
    if changed := [verdict for verdict in verdicts if not verdict.status and verdict.word not in (SAME, NEW)]:
        lines += ["### Changed for the better", "", *table(changed), ""]
    for text in hints(verdicts):
        lines += [text, ""]
    if verdicts:
        lines += ["<details><summary>All</summary>", "", *table(verdicts), "", "</details>", ""]
    return "\n".join(lines)
