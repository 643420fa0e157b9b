"""A recommendation in words."""

import textwrap
from collections.abc import Iterator

from crnn.report.criteria import CRITERIA, label
from crnn.report.recommendation import Change, Recommendation, Row, Wish

_WIDTH = 110


def _figures(row: Row, wish: Wish) -> str:
    """The criteria of a row, such as ``latency 0.31 ms, CER 0.78 %, memory 180 MB``."""
    shown = []
    for name in wish.criteria:
        value = row.values[name]
        shown.append(f"{label(name)} " + ("not measured" if value is None else CRITERIA[name].shown(value)))
    return ", ".join(shown)


def _calls(wish: Wish) -> str:
    return "1 line per call" if wish.size == 1 else f"{wish.size} lines per call"


def _limits(wish: Wish) -> str:
    if not wish.limits:
        return "no limits"
    return ", ".join(f"{label(name)} at most {CRITERIA[name].shown(most)}" for name, most in wish.limits.items())


def headline(found: Recommendation) -> str:
    """The answer in two sentences."""
    wish, winner = found.wish, found.winner
    first = f"With {_calls(wish)} and {_limits(wish)}, ship {winner.name}: {_figures(winner, wish)}."
    if not found.certain:
        return f"{first} The run has one process per row, so nothing is said about rows that are as fast."
    if not found.ties:
        return f"{first} It is shown to have less {wish.minimize} than every other row that keeps the limits."
    names = ", ".join(row.name for row in found.ties)
    return f"{first} No difference in {wish.minimize} to it is shown for: {names}."


def change(one: Change, wish: Wish) -> str:
    """What would change the answer, in a sentence."""
    most = CRITERIA[one.criterion].shown(one.limit)
    name = label(one.criterion)
    where = f"with {name} of {most} allowed" if one.relaxed else f"with {name} below {most} required"
    return f"{where}, {one.winner} wins ({one.factor:.2f} times the {wish.minimize})"


def sentences(found: Recommendation) -> Iterator[str]:
    """The whole answer, a paragraph or list entry each."""
    wish = found.wish
    yield headline(found)
    for row in found.ties:
        factor = row.score(wish.minimize) / found.winner.score(wish.minimize)
        yield f"  {row.name}, {factor:.2f} times the {wish.minimize}: {_figures(row, wish)}"
    if found.ties:
        yield "  (Compared by ratios to the anchor of the same minutes; the times shown are of different minutes.)"
    if found.changes:
        yield ""
        yield "What would change the answer:"
        yield from (f"  {change(one, wish)}" for one in found.changes)
    if found.fallen:
        yield ""
        yield "Why each other row fell:"
        width = max(len(row.name) for row in found.fallen)
        yield from (f"  {row.name.ljust(width)}  {row.reason}" for row in found.fallen)


def text(found: Recommendation) -> str:
    """The answer for a terminal."""
    return "\n".join(
        part
        for line in sentences(found)
        for part in textwrap.wrap(line, _WIDTH, subsequent_indent="    ", replace_whitespace=False) or [""]
    )
