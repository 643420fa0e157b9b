"""The table: one row a variant, from the benchmarks of a pytest-benchmark JSON.

The terminal, ``python -m crnn report`` and the README show the same rows.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from crnn.registry import VARIANTS

HEADINGS = (
    "variant",
    "optimization",
    "runtime",
    "parameters",
    "ms per batch",
    "lines/s",
    "speed-up",
    "CTC loss",
    "CER %",
    "CER - original's",
    "saved as",
)
_TEXT_COLUMNS = 3
# Rounding alone makes some weights of quantized rows zero.
_NOTABLE = 0.9
_ABSENT = "-"


class ReportError(ValueError):
    """Benchmarks that hold nothing to report."""


def _by_variant(benchmarks: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Everything measured of each variant; of the latencies those of its largest batch size."""
    measured: dict[str, dict[str, Any]] = defaultdict(dict)
    for benchmark in sorted(benchmarks, key=lambda entry: entry["extra_info"].get("batch_size_lines", 0)):
        info = benchmark["extra_info"]
        if "variant" in info:
            measured[info["variant"]] |= info
    return measured


def _with_interval(info: Mapping[str, Any], name: str, unit: str, scale: float, form: str) -> str:
    """A value and its interval, such as ``5.3 [5.1, 5.6]``."""
    if (value := info.get(f"{name}_{unit}")) is None:
        return _ABSENT
    shown = format(value * scale, form)
    low, high = (info.get(f"{name}_{end}_{unit}") for end in ("low", "high"))
    if low is None or high is None:
        return shown
    return f"{shown} [{low * scale:{form}}, {high * scale:{form}}]"


def _speedup(name: str, info: Mapping[str, Any]) -> str:
    """The ratio with its interval; what brings nothing, or less than nothing, says so."""
    if info.get("original") == name:
        return "1 (reference)"
    verdict = info.get("speedup_verdict", "faster")
    shown = _with_interval(info, "speedup", "ratio", 1, ".2f")
    return shown if verdict == "faster" else f"{shown} {verdict}"


def _parameters(info: Mapping[str, Any]) -> str:
    """As many as are stored; beside them how many are not zero, where a notable share is."""
    if (stored := info.get("parameters_stored_count")) is None:
        return _ABSENT
    nonzero = info.get("parameters_nonzero_count", stored)
    return f"{stored:,}" if nonzero > _NOTABLE * stored else f"{stored:,} ({nonzero:,} not zero)"


def _row(name: str, info: Mapping[str, Any]) -> tuple[str, ...]:
    def shown(key: str, form: str) -> str:
        return form.format(info[key]) if key in info else _ABSENT

    size = f"{info['file_bytes'] / 1024:,.0f} KB {info['file_format']}" if "file_bytes" in info else _ABSENT
    return (
        name,
        info.get("technique", _ABSENT),
        info.get("runtime", _ABSENT),
        _parameters(info),
        _with_interval(info, "latency_median", "s", 1e3, ".2f"),
        shown("throughput_lines_per_s", "{:,.0f}"),
        _speedup(name, info),
        shown("ctc_loss_nats_per_line", "{:.4f}"),
        _with_interval(info, "cer", "fraction", 100, ".2f"),
        _with_interval(info, "cer_difference_to_original", "fraction", 100, "+.2f"),
        size,
    )


def rows(benchmarks: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Cells under ``HEADINGS``, in the registry's order.

    Raises:
        ReportError: no benchmark of this suite is among them.
    """
    measured = _by_variant(benchmarks)
    if not measured:
        raise ReportError("no results of this suite: nothing to report")
    order = {variant.name: index for index, variant in enumerate(VARIANTS)}
    names = sorted(measured, key=lambda name: (order.get(name, len(order)), name))
    return [_row(name, measured[name]) for name in names]


def caption(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    """What the numbers stand for: batch size, device, threads, corpus."""
    infos = _by_variant(benchmarks).values()

    def values(key: str) -> str:
        return ", ".join(sorted({str(info[key]) for info in infos if key in info})) or "not measured"

    batch = max((info.get("batch_size_lines", 0) for info in infos), default=0)
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
    alignment = ["---" if column < _TEXT_COLUMNS else "---:" for column in range(len(HEADINGS))]
    lines = [f"| {' | '.join(row)} |" for row in (HEADINGS, alignment, *cells)]
    return "\n".join([*lines, "", caption(benchmarks)])


def plain(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    """The table for a terminal, its caption below."""
    cells = [HEADINGS, *rows(benchmarks)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.ljust(width) if column < _TEXT_COLUMNS else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:]), "", caption(benchmarks)])
