"""The caption of the table: the settings behind the numbers, and what to know when reading them."""

from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import Any

from crnn.gate.column import UNPAIRED
from crnn.measure.records import Latency
from crnn.measure.way_record import WholeWay
from crnn.report.contents import Table
from crnn.report.selection import ORIGINAL

_BRACKETS = "In brackets: 95 % intervals"
_SHORT = "±: the farther end of the 95 % interval"


def _latencies(table: Table) -> list[Latency]:
    """The records of every row at the shown batch sizes."""
    found = (row.get((Latency, size)) for row in table.results.rows.values() for size in table.selection.sizes)
    return [entry.record for entry in found if entry and isinstance(entry.record, Latency)]


def settings(table: Table, machine: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The settings behind the numbers, as JSON values; lists hold each value that some row has.

    Args:
        table: the table.
        machine: how the machine was watched, see ``table.render``.
    """
    identities = [table.results.identity(name) for name in table.results.rows]
    latencies = _latencies(table)

    def values(key: str) -> list[Any]:
        return sorted({getattr(identity, key) for identity in identities} - {None, ""})

    return {
        "batch_sizes_lines": list(table.selection.sizes),
        "processes_per_row": sorted({len(record.anchor_ratios) for record in latencies}),
        "reference": table.selection.reference,
        **{key: values(key) for key in ("device", "threads_count", "instruction_sets", "corpus", "lines_count")},
        "remeasured_pairs_count": sum(record.remeasured_pairs_count for record in latencies),
        "disturbed_pairs_count": sum(record.disturbed_pairs_count for record in latencies),
        "disturbances": sorted({kind for record in latencies for kind in record.disturbances}),
        "machine": dict(machine) if machine else None,
    }


def _joined(values: Iterable[Any], last: str = ", ") -> str:
    *most, final = [str(value) for value in values] or ["not measured"]
    return f"{', '.join(most)}{last}{final}" if most else final


def _settings(found: Mapping[str, Any]) -> str:
    parts = []
    if sizes := found["batch_sizes_lines"]:
        lines = "line" if sizes == [1] else "lines"
        parts.append(f"Batches of {_joined(sizes, ' and ')} {lines}")
        counts = found["processes_per_row"]
        range_of = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        parts.append(f"{range_of} {'process' if counts == [1] else 'processes'} per row")
    else:
        parts.append("Latency not measured")
    parts += [f"device: {_joined(found['device'])}", f"threads: {_joined(found['threads_count'])}"]
    if found["instruction_sets"]:
        parts.append(f"instruction sets: {_joined(found['instruction_sets'])}")
    parts.append(f"corpus: {_joined(found['corpus'])}, {_joined(found['lines_count'])} test lines")
    return f"{'; '.join(parts)}."


def _intervals(table: Table, *, short: bool) -> Iterator[str]:
    """What the intervals are, of the shown columns."""
    records = {placed.record for placed in table.selection.columns if placed.column.interval}
    counts = {len(record.anchor_ratios) for record in _latencies(table)} if Latency in records else set()
    kinds = ["of times and speed-ups over processes"] if counts - {0, 1} else []
    if records - {Latency}:
        kinds.append("of accuracy by bootstrap over lines")
    if kinds:
        yield f"{_SHORT if short else _BRACKETS}, {_joined(kinds, ' and ')}."
    if counts <= {0, 1} and counts:
        yield "One process per row: times and speed-ups have no interval, and speed-ups no verdict."
    elif 1 in counts:
        yield "Rows with one process have no interval and no verdict."


def _reference(table: Table, *, short: bool) -> Iterator[str]:
    """What speed-ups refer to, and which rows have none."""
    placed = [entry for entry in table.selection.columns if entry.column.verdicts]
    if not placed:
        return
    reference, rows = table.selection.reference, table.results.rows
    if reference not in (ORIGINAL, *rows):
        yield (
            f"No speed-ups: {reference} was not measured; measure it too, or choose a row with "
            f"--reference NAME, or each row's own original with --reference {ORIGINAL}."
        )
        return
    over = "each row's own original" if reference == ORIGINAL else reference
    yield f"Speed-up: over {over}, from ratios to the same anchor."
    if short:
        yield "~: no difference shown."
    values = {name: [table.value(name, entry) for entry in placed] for name in table.names}
    if unpaired := [name for name, found in values.items() if UNPAIRED in {value.verdict for value in found}]:
        yield f"Not paired with the reference's anchor, so without a speed-up: {_joined(unpaired)}."
    if alone := [name for name in table.names if table.selection.reference_of(table.results, name) not in rows]:
        yield f"Their original was not measured, so without a speed-up: {_joined(alone)}."


def whole_way(records: Mapping[str, WholeWay]) -> Iterator[str]:
    """How much of the way from file to text the model is, in a sentence; none if that was not measured.

    Args:
        records: by the rows' names.
    """
    if not records:
        return
    least, most = (pick(records, key=lambda name: records[name].way_model_fraction) for pick in (min, max))
    low, high = (f"{records[name].way_model_fraction:.0%}" for name in (least, most))
    start = {"corpus": "the image file", "JPEG": "a JPEG file"}[records[least].way_files]
    others = 1e3 * median(record.way_decode_s + record.way_resize_s for record in records.values())
    yield (
        f"Of the whole way from {start} to the text, one line at a time, the model is "
        f"{low if least == most else f'{low} ({least}) to {high} ({most})'}; "
        f"reading, decoding and scaling the image take {others:.2g} ms."
    )


def stages(record: WholeWay) -> str:
    """What each stage from image file to text takes."""
    seconds = {"decode": record.way_decode_s, "scale": record.way_resize_s}
    seconds |= {"model": record.way_model_s, "CTC": record.way_ctc_s}
    said = ", ".join(f"{stage} {1e3 * second:.3g} ms" for stage, second in seconds.items())
    return f"{said}; the model is {record.way_model_fraction:.0%}"


def _whole_way(table: Table) -> Iterator[str]:
    rows = table.results.rows.items()
    found = {name: entry.record for name, row in rows if (entry := row.get((WholeWay, None)))}
    yield from whole_way({name: record for name, record in found.items() if isinstance(record, WholeWay)})


def _disturbances(found: Mapping[str, Any], machine: Mapping[str, Any] | None) -> Iterator[str]:
    """What disturbed the machine, and whether it was watched."""
    if machine and not machine.get("watched"):
        yield f"Not watched: {machine.get('unavailable') or 'no reason given'}."
    if machine and (before := machine.get("disturbed_before")):
        yield f"Before the run: {before}."
    if not found["batch_sizes_lines"]:
        return
    again, kept = found["remeasured_pairs_count"], found["disturbed_pairs_count"]
    if again or kept:
        kinds = f" ({_joined(found['disturbances'])})" if kept else ""
        yield f"Disturbed pairs of blocks: {again} measured again, {kept} kept{kinds}."
    elif machine and machine.get("watched"):
        yield "Nothing disturbed the timed blocks."


def sentences(table: Table, machine: Mapping[str, Any] | None = None, *, short: bool = False) -> list[str]:
    """The caption.

    Args:
        table: the table.
        machine: how the machine was watched, see ``table.render``.
        short: whether the cells are short, see ``Column.text``.
    """
    found = settings(table, machine)
    notes = dict.fromkeys(placed.column.note for placed in table.selection.columns)
    return [
        _settings(found),
        *_intervals(table, short=short),
        *_reference(table, short=short),
        *filter(None, notes),
        *_whole_way(table),
        *_disturbances(found, machine),
    ]
