"""The commands that show a saved run: the table, and the recommendation."""

import argparse
import os
import select
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from crnn.corpus import Corpus
from crnn.measure.packing import saved
from crnn.report import advice, criteria, table
from crnn.report.recommendation import Wish, recommend
from crnn.report.results import Results


def reader_left() -> bool:
    """Whether standard output is a pipe that nobody reads any more, as behind ``head``; then nothing more is sent."""
    pipe = select.poll()
    pipe.register(sys.stdout.fileno(), 0)  # errors are always told
    if not pipe.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it exits
    return True


def _named(path: Path, show: Callable[[], str]) -> None:
    """Print; errors name the file.

    Raises:
        ReportError: the file cannot be read or shown.
    """
    try:
        text = show()
    except (OSError, ValueError) as error:
        raise table.ReportError(f"{path}: {error}") from None
    print(text)  # noqa: T201 a command


def _several(paths: Sequence[Path]) -> list[tuple[str, Any]]:
    """Runs by the names of their files, and of their folders where files have the same name.

    Raises:
        ReportError: one cannot be read; the message names it.
    """
    found = []
    unique = len({path.stem for path in paths}) == len(paths)
    for path in paths:
        try:
            found.append((path.stem if unique else f"{path.parent.name}/{path.stem}", saved(path)))
        except (OSError, ValueError) as error:
            raise table.ReportError(f"{path}: {error}") from None
    return found


def _write_page(arguments: argparse.Namespace) -> None:
    from crnn.report.page import page

    corpus = arguments.open_corpus(arguments, ()) if arguments.corpus else None
    arguments.html.write_text(page.html(_several(arguments.results), corpus), "utf-8")
    print(arguments.html)  # noqa: T201 a command


def _write_figure(arguments: argparse.Namespace) -> None:
    from crnn.report.page import charts
    from crnn.report.page.content import shown

    [run] = shown(_several(arguments.results))
    sizes = run.results.sizes
    batch = arguments.batch if isinstance(arguments.batch, int) else next(iter(sizes), None)
    if batch not in sizes:
        raise table.ReportError(f"{arguments.results[0]}: batch {batch} was not measured; measured: {sizes}")
    charts.save(charts.pareto(run.points, batch=batch), arguments.figure)
    print(arguments.figure)  # noqa: T201 a command


def _print_table(arguments: argparse.Namespace) -> None:
    [results] = arguments.results
    request = table.Request(
        reference=arguments.reference, batch=arguments.batch, sort=arguments.sort, columns=arguments.columns
    )
    # Without a terminal nothing limits the width.
    width = shutil.get_terminal_size((0, 0)).columns
    _named(results, lambda: table.render_run(saved(results), request, arguments.format, width=width))


def _report(arguments: argparse.Namespace) -> None:
    if arguments.html:
        _write_page(arguments)
    elif arguments.corpus:
        raise table.ReportError("--corpus shows pictures of its lines on a page: add --html FILE")
    elif len(arguments.results) > 1:
        raise table.ReportError("several runs are shown side by side on a page: add --html FILE")
    elif arguments.figure:
        _write_figure(arguments)
    else:
        _print_table(arguments)


def _recommend(arguments: argparse.Namespace) -> None:
    def show() -> str:
        results = Results.read(table.benchmarks_of(saved(arguments.results))).only(arguments.variants)
        wish = Wish(arguments.batch, criteria.parse(arguments.max), arguments.minimize)
        return advice.text(recommend(results, wish))

    _named(arguments.results, show)


def keys(text: str) -> tuple[str, ...]:
    """Comma-separated names."""
    return tuple(filter(None, (key.strip() for key in text.split(","))))


def add_to(
    commands: Any, batch: Callable[[str], int], corpus: argparse.ArgumentParser, opened: Callable[..., Corpus]
) -> None:
    """Add the commands.

    Args:
        commands: argparse's subparsers.
        batch: reads a batch size.
        corpus: the options that name a user's corpus.
        opened: opens the corpus that these options name, for some rows.
    """
    report = commands.add_parser(
        "report", parents=[corpus], help="print the table of a benchmark JSON, or write a page or a figure"
    )
    report.add_argument("results", type=Path, nargs="+", metavar="RESULTS.json", help="several with --html")
    report.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots, which needs no network")
    report.add_argument("--figure", type=Path, metavar="FILE", help="write the plot of time and CER: svg, png or pdf")
    report.add_argument(
        "--reference",
        metavar="NAME",
        help="row that speed-ups refer to, torch-original by default; original: each row's own original",
    )
    report.add_argument(
        "--batch",
        type=lambda text: text if text == table.ALL else batch(text),
        metavar="N|all",
        help="batch size; by default the smallest and the largest one, with csv and json all",
    )
    report.add_argument(
        "--sort", metavar="COLUMN", help="such as ms@1, speedup@128, cer; the registry's order by default"
    )
    report.add_argument(
        "--columns",
        type=keys,
        default=(),
        metavar="COLUMNS",
        help="such as ms,speedup@1,macs; an unknown one lists all",
    )
    report.add_argument("--format", choices=table.FORMS, default=table.MARKDOWN, help=f"{table.MARKDOWN} by default")
    report.set_defaults(run=_report, open_corpus=opened)
    choice = commands.add_parser("recommend", help="which row to ship, and why not the others")
    choice.add_argument("results", type=Path, metavar="RESULTS.json")
    choice.add_argument("--batch", type=batch, required=True, metavar="N", help="lines per call")
    choice.add_argument(
        "--max",
        default="",
        metavar="LIMITS",
        help=f"such as memory=500MB,cer_loss=0.1pp,bytes=3MB; of {', '.join(criteria.CRITERIA)}",
    )
    choice.add_argument(
        "--variants", type=keys, default=("*",), metavar="GLOB,...", help="choose among these rows only"
    )
    choice.add_argument("--minimize", choices=criteria.OBJECTIVES, default=criteria.OBJECTIVES[0])
    choice.set_defaults(run=_recommend)
