"""Columns of the table, by measurement. A record with a batch size gives one column per size."""

from collections.abc import Sequence

from crnn.gate.column import REFERENCE, UNPAIRED, Column, Place, Value
from crnn.measure import speedup as estimates
from crnn.measure.record import Record
from crnn.measure.records import Footprint, Identity, Latency, Measured
from crnn.processor import widest

# In quantized rows rounding alone makes some weights zero.
_NOTABLE = 0.9


def _speedup(measured: Measured, reference: Measured | None, rows: Sequence[Measured]) -> Value:
    """The speed-up over the reference row."""
    if reference is None:
        return Value()
    if measured == reference:
        return Value(1.0, verdict=REFERENCE)
    if not (isinstance(measured.record, Latency) and isinstance(reference.record, Latency)):
        raise TypeError(f"no latency: {type(measured.record).__name__}")
    try:
        latencies = [row.record for row in rows if isinstance(row.record, Latency)]
        found = estimates.speedup(measured.record, reference.record, latencies)
    except estimates.UnpairedError:
        return Value(verdict=UNPAIRED)
    low, high = found.interval or (None, None)
    return Value(found.value, low, high, found.verdict)


def _nonzero(record: Record) -> str:
    """The nonzero parameters in parentheses, if a notable share is zero."""
    if not isinstance(record, Footprint) or record.parameters_nonzero_count > _NOTABLE * record.parameters_stored_count:
        return ""
    return f" ({record.parameters_nonzero_count:,})"


def _file_format(record: Record) -> str:
    """The artifact's format."""
    return f" {record.file_format}" if isinstance(record, Footprint) else ""


def _instruction_sets(record: Record) -> str:
    """The widest instruction set in parentheses, for rows whose speed depends on it: int8 and bf16."""
    if not isinstance(record, Identity):
        return ""
    found = (widest(word, record.instruction_sets.split(", ")) for word in record.variant.split("-"))
    return "".join(f" (up to {name})" for name in found if name)


IDENTITY = (
    Column(key="variant", heading="variant", name="variant", place=Place.ROW),
    Column(key="optimization", heading="optimization", name="technique", place=Place.ROW, terminal=False),
    Column(key="runtime", heading="runtime", name="runtime", place=Place.ROW, addition=_instruction_sets),
    Column(key="original", heading="original", name="original"),
    Column(key="device", heading="device", name="device"),
    Column(key="threads", heading="threads", name="threads", unit="count", form=","),
    Column(key="instruction-sets", heading="instruction sets", name="instruction_sets"),
)
"""What a row is; of no measurement."""

LATENCY = (
    Column(
        key="ms",
        heading="ms per batch",
        name="latency_median",
        unit="s",
        scale=1e3,
        place=Place.SPEED,
        interval=True,
    ),
    Column(
        key="speedup",
        heading="speed-up",
        name="speedup",
        unit="ratio",
        form=",.2f",
        place=Place.SPEED,
        interval=True,
        descending=True,
        verdicts=True,
        read=_speedup,
    ),
    Column(
        key="first-call",
        heading="first call s",
        name="first_call",
        unit="s",
        form=",.2f",
        place=Place.FIRST_CALL,
        first=True,
        note="First call: the first of the process, with an empty compile cache.",
    ),
    Column(key="first-call", heading="first call s", name="first_call", unit="s", form=",.2f"),
    Column(key="lines/s", heading="lines/s", name="throughput", unit="lines_per_s", form=",.0f", descending=True),
    Column(key="gmacs", heading="GMACs/s", name="macs", unit="per_s", form=",.1f", scale=1e-9, descending=True),
    Column(
        key="peak-share",
        heading="% of peak",
        name="peak_share",
        unit="fraction",
        form=",.0f",
        scale=100,
        descending=True,
        note="% of peak: MACs per second as a share of the best matrix product of the row's precision in this run.",
    ),
    # None where the sample is too small for the percentile.
    Column(key="p95", heading="p95 ms", name="latency_p95", unit="s", scale=1e3),
    Column(key="p99", heading="p99 ms", name="latency_p99", unit="s", scale=1e3),
    Column(key="memory", heading="peak memory MB", name="peak_memory", unit="bytes", form=",.0f", scale=1e-6),
    Column(key="calls", heading="timed calls", name="timed_calls", unit="count", form=","),
    Column(key="remeasured", heading="remeasured pairs", name="remeasured_pairs", unit="count", form=","),
    Column(key="disturbed", heading="disturbed pairs", name="disturbed_pairs", unit="count", form=","),
)

THROUGHPUT = (
    Column(
        key="two-workers",
        heading="lines/s, two workers",
        name="together",
        unit="lines_per_s",
        form=",.0f",
        descending=True,
        note="Two workers: with one thread each, at the same time, 32 lines per call.",
    ),
    Column(
        key="one-worker",
        heading="lines/s, one worker",
        name="alone",
        unit="lines_per_s",
        form=",.0f",
        descending=True,
    ),
    Column(
        key="two-workers-gain",
        heading="two workers / one with two threads",
        name="together_gain",
        unit="ratio",
        form=",.2f",
        interval=True,
        descending=True,
    ),
)

OPERATORS = (
    Column(key="operators", heading="convolutions, products, LSTMs", name="matrix_operators"),
    Column(
        key="float-operators",
        heading="of these in float32",
        name="float_matrix_operators",
        unit="count",
        form=",",
        note="Convolutions, products, LSTMs: operators after fusion, as the engine's profiler tells.",
    ),
)

LOSS = (
    Column(
        key="loss",
        heading="CTC loss",
        name="ctc_loss",
        unit="nats_per_line",
        form=",.4f",
        place=Place.MODEL,
        terminal=False,
    ),
    Column(
        key="loss-difference",
        heading="CTC loss - original's",
        name="ctc_loss_difference_to_original",
        unit="nats_per_line",
        form="+z,.4f",
        interval=True,
    ),
)

CER = (
    Column(
        key="cer",
        heading="CER %",
        name="cer",
        unit="fraction",
        form=",.2f",
        scale=100,
        place=Place.ACCURACY,
        interval=True,
    ),
    Column(
        key="cer-difference",
        heading="CER - original's",
        name="cer_difference_to_original",
        unit="fraction",
        form="+z,.2f",
        scale=100,
        place=Place.ACCURACY,
        interval=True,
        note="CER - original's: in points, paired by line.",
    ),
    Column(
        key="cer-unseen",
        heading="CER %, unseen labels",
        name="cer_unseen_labels",
        unit="fraction",
        form=",.2f",
        scale=100,
    ),
    Column(
        key="cer-typeface",
        heading="CER %, unseen typeface",
        name="cer_unseen_typeface",
        unit="fraction",
        form=",.2f",
        scale=100,
    ),
    Column(
        key="exact",
        heading="exact lines %",
        name="exact_lines",
        unit="fraction",
        form=",.2f",
        scale=100,
        descending=True,
    ),
)

PARAMETERS = (
    Column(
        key="parameters",
        heading="parameters (nonzero)",
        name="parameters_stored",
        unit="count",
        form=",",
        place=Place.MODEL,
        addition=_nonzero,
    ),
)

NONZERO = (Column(key="nonzero", heading="nonzero parameters", name="parameters_nonzero", unit="count", form=","),)

MACS = (Column(key="macs", heading="MACs per line", name="multiply_adds_per_line", unit="count", form=","),)

SIZE = (
    Column(
        key="deflated",
        heading="deflated weights kB",
        name="deflated_weights",
        unit="bytes",
        form=",.0f",
        scale=1e-3,
        place=Place.SIZE,
        note="Deflated weights: each array deflated, so that formats compare; as shipped: the file itself.",
    ),
    Column(
        key="shipped",
        heading="as shipped kB",
        name="file",
        unit="bytes",
        form=",.0f",
        scale=1e-3,
        place=Place.SIZE,
        addition=_file_format,
    ),
    Column(key="format", heading="format", name="file_format"),
)

COMPRESSED = (
    Column(key="compressed", heading="deflated file kB", name="compressed", unit="bytes", form=",.0f", scale=1e-3),
)

MEMORY = (
    Column(
        key="memory",
        heading="peak memory MB",
        name="peak_memory",
        unit="bytes",
        form=",.0f",
        scale=1e-6,
        place=Place.MEMORY,
        note="Peak memory: resident, of the worker, after calls at every batch size.",
    ),
    Column(
        key="resident",
        heading="memory after load MB",
        name="resident_after_load",
        unit="bytes",
        form=",.0f",
        scale=1e-6,
    ),
    Column(
        key="load",
        heading="load s",
        name="load",
        unit="s",
        form=",.2f",
        place=Place.LOAD,
        note="Load: with imports.",
    ),
)
