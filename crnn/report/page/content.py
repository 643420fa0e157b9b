"""What the page shows of a run, as plain values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from crnn import registry
from crnn.corpus import Corpus
from crnn.measure.misreadings import alignment
from crnn.measure.records import Accuracy, Operators
from crnn.measure.speedup import NO_DIFFERENCE
from crnn.measure.way_record import WholeWay
from crnn.registry.variant import Variant
from crnn.report import advice
from crnn.report.caption import sentences, stages
from crnn.report.contents import Table
from crnn.report.criteria import CRITERIA, OBJECTIVES, Measured
from crnn.report.page.pictures import pictures
from crnn.report.recommendation import Row, Wish, recommend, scaled, times
from crnn.report.results import ReportError, Results
from crnn.report.selection import Request
from crnn.report.table import benchmarks_of

LIMITS = ("memory", "cer_loss", "bytes")
"""The criteria that have a slider, in the order of the page."""
_CER_LOSS = 0.001
"""The limit that the page starts with: a tenth of a point."""


def _no_picture(_: int) -> None:
    """The corpus is not at hand."""


@dataclass(frozen=True)
class Shown:
    """A saved run, and what the page says of it.

    Attributes:
        label: names it among several.
        content: the whole JSON.
        picture: of a line of the test split, as a data address; None where the corpus is not at hand.
    """

    label: str
    content: Mapping[str, Any]
    picture: Callable[[int], str | None] = _no_picture

    @cached_property
    def results(self) -> Results:
        """Its measurements.

        Raises:
            ReportError: it holds none of this suite, or one cannot be read.
        """
        return Results.read(benchmarks_of(self.content))

    @cached_property
    def table(self) -> Table:
        """All columns at all batch sizes."""
        return Table.of(self.content["benchmarks"], Request(), everything=True)

    @cached_property
    def _cells(self) -> dict[str, tuple[str, ...]]:
        """The table's cells by row."""
        return dict(zip(self.table.names, self.table.cells(), strict=True))

    @cached_property
    def facts(self) -> dict[str, str]:
        """Machine, date, commit, corpus, and what was disturbed, by heading."""
        info, session = self.content.get("machine_info", {}), self.content.get("crnn", {})
        machine, commit = info.get("fingerprint") or {}, self.content.get("commit_info", {})
        identity = self.results.identity(next(iter(self.results.rows)))
        accelerator = machine.get("accelerator")
        cores = f"{machine.get('cores', '?')} cores" + (f", {accelerator}" if accelerator else "")
        quick = " A --quick run: fewer lines, one process per row." if session.get("quick") else ""
        return {
            "Machine": ", ".join(filter(None, (machine.get("cpu", "unknown"), cores, identity.instruction_sets))),
            "Date": str(self.content.get("datetime", "unknown"))[:16].replace("T", " "),
            "Commit": f"{commit.get('id', 'unknown')[:12]}{', with changes' if commit.get('dirty') else ''}",
            "Corpus": f"{identity.corpus}, {identity.lines_count:,} test lines.{quick}",
        }

    @property
    def settings(self) -> str:
        """How it was measured, and what was disturbed."""
        return " ".join(sentences(self.table, self.content.get("crnn", {}).get("machine")))

    def measured(self, name: str, size: int) -> Measured:
        """The records of a row at a batch size."""
        return Measured.of(self.results, name, size)

    def wish(self, size: int) -> Wish:
        """What the page asks for at first: the fastest within a tenth of a point of CER, if there is such a row."""
        losses = [CRITERIA["cer_loss"].read(self.measured(name, size)) for name in self.results.rows]
        within = any(loss is not None and loss <= _CER_LOSS for loss in losses)
        return Wish(size, {"cer_loss": _CER_LOSS} if within else {})

    @cached_property
    def answers(self) -> list[str]:
        """The answer at the smallest and the largest batch size, in two sentences each."""
        sizes = dict.fromkeys(self.results.sizes[:1] + self.results.sizes[-1:])
        found = [advice.headline(recommend(self.results, self.wish(size))) for size in sizes]
        return found or ["No latency was measured, so no row can be recommended."]

    @cached_property
    def choices(self) -> dict[str, Any]:
        """What the form of the page chooses from: values of each row, and which rows do not differ, by batch size."""
        found: dict[str, Any] = {}
        criteria = tuple(dict.fromkeys((*OBJECTIVES, "cer", *LIMITS)))
        for size in self.results.sizes:
            rows = [
                Row(name, record.latency, {one: CRITERIA[one].read(record) for one in criteria})
                for name in self.results.rows
                if (record := self.measured(name, size)).latency is not None
            ]
            found[str(size)] = {
                "rows": {row.name: {**row.values, "score": _scores(row)} for row in rows},
                "alike": _alike(rows),
            }
        return found

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """A point per row and batch size, for the plots."""
        return [point for size in self.results.sizes for point in self._points_at(size)]

    def _points_at(self, size: int) -> Iterator[dict[str, Any]]:
        names = [name for name in self.results.rows if self.measured(name, size).latency]
        places = {name: self._place(name, size) for name in names}
        for name in names:
            record, identity = self.measured(name, size), self.results.identity(name)
            latency, accuracy, footprint = record.latency, record.accuracy, record.footprint
            if latency is None:
                continue
            ms = 1e3 * latency.latency_median_s
            low, high = latency.latency_median_low_s, latency.latency_median_high_s
            yield {
                "row": name,
                "run": self.label,
                "technique": identity.technique,
                "engine": engine_of(identity.runtime),
                "precision": precision_of(name),
                "batch": size,
                "ms": ms,
                "ms_low": 1e3 * low if low else ms,
                "ms_high": 1e3 * high if high else ms,
                "p95_ms": 1e3 * latency.latency_p95_s if latency.latency_p95_s else None,
                "ms_per_line": ms / size,
                "ms_per_line_low": 1e3 * low / size if low else ms / size,
                "ms_per_line_high": 1e3 * high / size if high else ms / size,
                "peak_ms_per_line": ms / size * latency.peak_share_fraction if latency.peak_share_fraction else None,
                "cer": 100 * accuracy.cer_fraction if accuracy else None,
                "cer_low": 100 * accuracy.cer_low_fraction if accuracy else None,
                "cer_high": 100 * accuracy.cer_high_fraction if accuracy else None,
                "memory_mb": latency.peak_memory_bytes / 1e6,
                "file_mb": footprint.file_bytes / 1e6 if footprint else None,
                "parameters": footprint.parameters_stored_count if footprint else None,
                "dominated": any(_better(other, places[name]) for other in places.values()),
            }

    def _place(self, name: str, size: int) -> tuple[float, float] | None:
        """Latency and CER; None where one was not measured."""
        record = self.measured(name, size)
        if record.latency is None or record.accuracy is None:
            return None
        return record.latency.latency_median_s, record.accuracy.cer_fraction

    def details(self, name: str) -> dict[str, Any]:
        """All that is known of a row: what it is, every figure, its operators."""
        identity, row = self.results.identity(name), self.results.rows[name]
        variant = next((one for one in registry.VARIANTS if one.name == name), None)
        operators = next((entry.record for (kind, _), entry in row.items() if kind is Operators), None)
        ways = [("from file to text", stages(one.record)) for one in row.values() if isinstance(one.record, WholeWay)]
        cells = zip(self.table.headings, self._cells[name], strict=True)
        return {
            "name": name,
            "facts": {
                "technique": identity.technique,
                "engine": identity.runtime,
                "device": identity.device,
                "threads": str(identity.threads_count or "unknown"),
                "artifact": identity.artifact_sha256[:16],
                **(_made(variant) if variant else {"recipe": "unknown: not in this registry"}),
            },
            "figures": {heading: cell for heading, cell in cells if cell not in ("-", name)} | dict(ways),
            "worst": self._worst(name),
            "confusions": self._confusions(name, identity.original),
            "operators": [
                {**entry, "ms": 1e3 * entry["seconds"], "share": 100 * entry["seconds"] / operators.operators_s}
                for entry in operators.operators
            ]
            if isinstance(operators, Operators) and operators.operators_s
            else [],
        }

    def _accuracy(self, name: str) -> Accuracy | None:
        found = self.results.rows.get(name, {}).get((Accuracy, None))
        return found.record if found and isinstance(found.record, Accuracy) else None

    def _worst(self, name: str) -> list[dict[str, Any]]:
        """The worst-read lines, with the alignment of label and text, and the picture where the corpus is at hand."""
        record = self._accuracy(name)
        return [
            {**line, "pairs": alignment(line["label"], line["text"]), "picture": self.picture(line["line"])}
            for line in (record.worst_lines if record else [])
        ]

    def _confusions(self, name: str, original: str) -> list[dict[str, Any]]:
        """What is taken for what, and how often the row's original does so."""
        record, first = self._accuracy(name), self._accuracy(original)
        before = {(one, other): count for one, other, count in (first.confusions if first else [])}
        return [
            {
                "label": one or "nothing",
                "text": other or "nothing",
                "count": count,
                "original": before.get((one, other), 0),
            }
            for one, other, count in (record.confusions if record else [])
        ]

    @cached_property
    def columns(self) -> list[dict[str, Any]]:
        """The table's columns: heading, whether it is text, whether it is shown at first."""
        first = {placed.key for placed in Table.of(self.content["benchmarks"], Request()).selection.columns}
        return [
            {"heading": placed.heading, "text": placed.column.is_text, "shown": placed.key in first}
            for placed in self.table.selection.columns
        ]

    @cached_property
    def rows(self) -> list[list[dict[str, Any]]]:
        """The table's cells: text, and the value by which they are sorted and exported."""
        return [
            [
                {"text": text, "value": self.table.value(name, placed).value}
                for text, placed in zip(cells, self.table.selection.columns, strict=True)
            ]
            for name, cells in self._cells.items()
        ]


def _scores(row: Row) -> dict[str, float | None]:
    """What rows are ranked by, by what is minimized; None where it was not measured."""
    return {name: None if row.values[name] is None else row.score(name) for name in OBJECTIVES}


def _alike(rows: Sequence[Row]) -> dict[str, dict[str, list[str]]]:
    """By what is minimized and by row, the rows whose difference to it is not shown."""
    found: dict[str, dict[str, list[str]]] = {name: {row.name: [] for row in rows} for name in OBJECTIVES}
    for at, row in enumerate(rows):
        for other in rows[at + 1 :]:
            ratio = times(row, other, rows)
            for name in OBJECTIVES:
                both = row.values[name] is not None and other.values[name] is not None
                if both and scaled(ratio, row, other, name).verdict == NO_DIFFERENCE:
                    found[name][row.name].append(other.name)
                    found[name][other.name].append(row.name)
    return found


def _better(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    """Whether the first is at least as good in both, and better in one."""
    if one is None or other is None:
        return False
    return one != other and one[0] <= other[0] and one[1] <= other[1]


def _made(variant: Variant) -> dict[str, str]:
    options = ", ".join(f"{name} = {value}" for name, value in variant.recipe_options.items())
    runs = ", ".join(f"{name} = {value}" for name, value in variant.runtime_options.items())
    return {
        "parent": variant.parent or "none: an original",
        "recipe": variant.recipe + (f" ({options})" if options else ""),
        "options of the engine": runs or "none",
    }


def engine_of(runtime: str) -> str:
    """The engine's name without its version: ``ONNX Runtime`` of ``ONNX Runtime 1.31.1``."""
    return " ".join(word for word in runtime.split() if not word[:1].isdigit()) or runtime


def precision_of(name: str) -> str:
    """The precision in which a row computes most MACs; ``unknown`` if it is not in this registry."""
    return next((one.precision for one in registry.VARIANTS if one.name == name), "unknown")


def shown(runs: Sequence[tuple[str, Any]], corpus: Corpus | None = None) -> list[Shown]:
    """Runs to show, given by label and JSON; and a user's corpus that they read, for pictures of its lines.

    Raises:
        ReportError: one is none of this suite's, or they were measured on different corpora.
    """
    found = [Shown(label, content) for label, content in runs]
    corpora = {one.results.identity(name).corpus_sha256 for one in found for name in one.results.rows}
    if len(corpora) > 1:
        raise ReportError("the runs read different corpora: their CER does not compare; report them one by one")
    return [replace(one, picture=pictures(next(iter(corpora)), corpus)) for one in found]
