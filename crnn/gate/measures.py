"""One declaration per measurement. Limits, verdicts and the table are derived from it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from crnn.gate import columns, comparisons
from crnn.gate.columns import Column
from crnn.gate.comparisons import Comparison
from crnn.gate.limits import Limit, LimitError
from crnn.measure.records import Accuracy, Footprint, Identity, Latency, Measured, Record, RelativeLatency, kind_of

# Two values can only be compared if these fields are equal.
_CORPUS = ("corpus_sha256", "lines_count")
_DEPLOYMENT = (*_CORPUS, "runtime", "device", "threads_count")
_PAIRS = (
    *_CORPUS,
    "runtime",
    "device",
    "anchor",
    "anchor_sha256",
    "gate_batch_size_lines",
    "gate_threads_count",
    "gate_pinned",
    "gate_plan",
)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measurement, and how it is compared.

    Attributes:
        name: as in ``--gate``.
        record: the kind of record that holds it.
        key: the compared field of the record, or of the identity beside it.
        compare: the function that compares two values.
        limit: the default limit.
        worse: the verdict if the value rises beyond the limit.
        better: the verdict if it falls beyond the limit.
        agree: fields of record and identity that have to be equal on both sides.
        same_machine: whether the machines' fingerprints have to be equal.
        units: the units in which a limit may be written.
        positive: whether the limit has to be above zero.
        scale: factor that converts the value to the shown unit.
        unit: the shown unit.
        columns: its columns of the table.
    """

    name: str
    record: type[Record]
    key: str
    limit: Limit
    compare: Comparison = comparisons.scalar
    worse: str = "larger"
    better: str = "smaller"
    agree: tuple[str, ...] = _CORPUS
    same_machine: bool = False
    units: tuple[str, ...] = ("%", "")
    positive: bool = False
    scale: float = 1
    unit: str = ""
    columns: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        known = {item.name for kind in (self.record, Identity) for item in fields(kind)}
        if unknown := {self.key, *self.agree} - known:
            raise ValueError(f"{self.name}: {self.record.__name__} has no {', '.join(sorted(unknown))}")

    def measured_in(self, info: Mapping[str, Any]) -> bool:
        """Whether a benchmark's ``extra_info`` holds this measurement."""
        return kind_of(info) is self.record

    def value(self, measured: Measured, key: str | None = None) -> Any:
        """The compared value, or another field of the record or the identity."""
        key = key or self.key
        return getattr(measured.record if hasattr(measured.record, key) else measured.identity, key, None)

    def shown(self, value: Any) -> str:
        """A value as text, without its unit."""
        if isinstance(value, str):
            return value[:12]
        if value is None:
            return "-"
        scaled = value * self.scale
        return f"{scaled:,.0f}" if isinstance(value, int) else f"{scaled:.4g}"


MEASURES: tuple[Measure, ...] = (
    Measure(
        name="parameters",
        record=Footprint,
        key="parameters_stored_count",
        limit=Limit(0, "%"),
        columns=(Column("parameters", columns.parameters),),
    ),
    Measure(name="nonzero", record=Footprint, key="parameters_nonzero_count", limit=Limit(1, "%")),
    Measure(name="macs", record=Footprint, key="multiply_adds_per_line_count", limit=Limit(0, "%")),
    Measure(
        # Ratio to the anchor on one thread and one core, in fresh processes: stable from run to run.
        name="relative_latency",
        record=RelativeLatency,
        key="gate_ratios",
        limit=Limit(5, "%"),
        compare=comparisons.process_pairs,
        worse="slower",
        better="faster",
        agree=_PAIRS,
        same_machine=True,
        units=("%",),
        positive=True,
        unit=" x anchor",
    ),
    Measure(
        # All cores and default thread pools, one process: it varies widely, so only a gross change counts.
        name="latency",
        record=Latency,
        key="latency_median_s",
        limit=Limit(100, "%"),
        compare=comparisons.deployment_latency,
        worse="slower",
        better="faster",
        agree=_DEPLOYMENT,
        same_machine=True,
        scale=1e3,
        unit=" ms",
        columns=(
            Column("ms per batch", columns.interval("latency_median", "s", ".2f", 1e3)),
            Column("lines/s", columns.number("throughput_lines_per_s", ",.0f")),
            Column("speed-up", columns.speedup),
        ),
    ),
    Measure(
        name="loss",
        record=Accuracy,
        key="line_losses_nats",
        limit=Limit(5, "%"),
        compare=comparisons.losses,
        worse="worse",
        better="better",
        unit=" nats",
        columns=(Column("CTC loss", columns.number("ctc_loss_nats_per_line", ".4f")),),
    ),
    Measure(
        name="cer",
        record=Accuracy,
        key="line_edits",
        limit=Limit(0.1, "pp"),
        compare=comparisons.edits,
        worse="worse",
        better="better",
        units=("pp", "%", ""),
        scale=100,
        unit=" %",
        columns=(
            Column("CER %", columns.interval("cer", "fraction", ".2f", 100)),
            Column("CER - original's", columns.interval("cer_difference_to_original", "fraction", "+.2f", 100)),
        ),
    ),
    Measure(
        name="bytes",
        record=Footprint,
        key="file_bytes",
        limit=Limit(1, "%"),
        unit=" bytes",
        columns=(Column("saved as", columns.file_size),),
    ),
    Measure(name="compressed", record=Footprint, key="compressed_bytes", limit=Limit(1, "%"), unit=" bytes"),
    Measure(
        name="memory",
        record=Footprint,
        key="peak_memory_bytes",
        limit=Limit(10, "%"),
        agree=_DEPLOYMENT,
        same_machine=True,
        unit=" bytes",
    ),
    # The file itself: another SHA-256 is another model, which needs a new baseline.
    Measure(
        name="artifact",
        record=Footprint,
        key="artifact_sha256",
        limit=Limit(0),
        compare=comparisons.same_file,
    ),
)


def measure(name: str) -> Measure:
    """The declaration of that name.

    Raises:
        LimitError: there is no such measurement; the message lists the names.
    """
    for declared in MEASURES:
        if declared.name == name:
            return declared
    raise LimitError(f"no measurement {name!r}; there are: {', '.join(declared.name for declared in MEASURES)}")


def parse(text: str) -> dict[str, Limit]:
    """Limits such as ``relative_latency=5%,cer=0.1pp,memory=off``.

    Raises:
        LimitError: no such measurement, or a limit that it does not accept.
    """
    limits = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        declared = measure(name)
        try:
            limit = Limit.parse(value)
        except LimitError as error:
            raise LimitError(f"{part}: {error}") from None
        if limit.number is not None and limit.unit not in declared.units:
            units = " or ".join(unit or "its own unit" for unit in declared.units)
            raise LimitError(f"{part}: a limit for {name} is in {units}")
        if declared.positive and limit.number == 0:
            raise LimitError(f"{part}: {name} needs a limit above 0 %")
        limits[name] = limit
    return limits


def limits_of(own: Mapping[str, str], asked: Mapping[str, Limit]) -> dict[str, Limit]:
    """The defaults, overridden by a variant's own limits, which the command line overrides.

    Args:
        own: such as ``{"relative_latency": "8%"}``.
        asked: what ``parse`` returned.
    """
    defaults = {declared.name: declared.limit for declared in MEASURES}
    return {**defaults, **parse(",".join(f"{name}={value}" for name, value in own.items())), **asked}
