"""Parts of Markdown documents that commands write: tables, and their places between markers."""

from collections.abc import Iterable, Mapping, Sequence


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table; all columns but the first ones are aligned as numbers.

    Args:
        headings: of the columns.
        rows: the cells.
        texts: number of columns that hold text.
    """
    rule = ["---"] * texts + ["---:"] * (len(headings) - texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with each part between its markers, ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: the page lacks markers.
    """
    for name, part in parts.items():
        before, start, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        if not (start and end):
            raise ValueError(f"no markers <!-- {name} --> and <!-- /{name} -->: add them")
        page = f"{before}{start}{part}\n{end}{after}"
    return page
