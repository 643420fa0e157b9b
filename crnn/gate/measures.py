"""One declaration per measurement. Limits, verdicts and the table are derived from it."""

from collections.abc import Mapping

from crnn.gate import columns, comparisons
from crnn.gate.declaration import CORPUS, Measure
from crnn.gate.limits import Limit, LimitError
from crnn.measure.pair_records import Deployment, RelativeLatency
from crnn.measure.record import Record
from crnn.measure.records import Accuracy, Footprint, Latency, Operators, Throughput

# Not the threads that were counted: the fingerprint holds what decides their number, and if the code changes it, the
# verdict is due, not a refusal.
_DEPLOYMENT = (*CORPUS, "runtime", "device")
_PAIRS = (
    *CORPUS,
    "runtime",
    "device",
    "anchor",
    "anchor_sha256",
    "gate_batch_size_lines",
    "gate_threads_count",
    "gate_pinned",
    "gate_plan",
)
_DEPLOYED = (
    *_DEPLOYMENT,
    "deployed_anchor",
    "deployed_anchor_sha256",
    "deployed_largest_batch_size_lines",
    "deployed_plan",
)

MEASURES: tuple[Measure, ...] = (
    Measure(
        name="parameters",
        record=Footprint,
        key="parameters_stored_count",
        compare=comparisons.scalar,
        limit=Limit(0, "%"),
        columns=columns.PARAMETERS,
    ),
    Measure(
        name="nonzero",
        record=Footprint,
        key="parameters_nonzero_count",
        compare=comparisons.scalar,
        limit=Limit(1, "%"),
        columns=columns.NONZERO,
    ),
    Measure(
        name="macs",
        record=Footprint,
        key="multiply_adds_per_line_count",
        compare=comparisons.scalar,
        limit=Limit(0, "%"),
        columns=columns.MACS,
    ),
    *(
        # In fresh processes that alternate with their engine's anchor: on one thread and one core, and as deployed.
        Measure(
            name=name,
            record=record,
            key=key,
            limit=Limit(number, "%"),
            widest=widest,
            measured_longer=longer,
            compare=comparisons.process_pairs,
            worse="slower",
            better="faster",
            agree=agree,
            same_machine=True,
            units=("%",),
            positive=True,
            unit=" x anchor",
        )
        for name, record, agree, key, number, widest, longer in (
            ("relative_latency", RelativeLatency, _PAIRS, "gate_ratios", 5, 0.15, True),
            ("deployed", Deployment, _DEPLOYED, "deployed_ratios", 15, 0.2, True),
            ("deployed_largest", Deployment, _DEPLOYED, "deployed_largest_ratios", 15, 0.5, True),
            # Loading and first calls spread widely: more pairs would resolve little more.
            ("start", Deployment, _DEPLOYED, "deployed_start_ratios", 50, 1.0, False),
            ("largest_first_call", Deployment, _DEPLOYED, "deployed_largest_first_call_ratios", 50, 1.0, False),
            ("load", Deployment, _DEPLOYED, "deployed_load_ratios", 50, 1.0, False),
        )
    ),
    Measure(
        # All cores and default thread pools, few processes: it varies widely, so only a gross change counts.
        name="latency",
        record=Latency,
        key="latency_median_s",
        limit=Limit(100, "%"),
        compare=comparisons.deployment_latency,
        worse="slower",
        better="faster",
        agree=(*_DEPLOYMENT, "latency_anchor", "latency_anchor_sha256"),
        same_machine=True,
        scale=1e3,
        unit=" ms",
        columns=columns.LATENCY,
    ),
    Measure(
        name="p95",
        record=Latency,
        key="latency_p95_s",
        limit=Limit(100, "%"),
        compare=comparisons.tail_latency,
        worse="slower",
        better="faster",
        agree=(*_DEPLOYMENT, "latency_anchor", "latency_anchor_sha256"),
        same_machine=True,
        scale=1e3,
        unit=" ms",
    ),
    Measure(
        # Two workers on all cores: it varies like the latency.
        name="throughput",
        record=Throughput,
        key="together_s_per_line",
        limit=Limit(100, "%"),
        compare=comparisons.scalar,
        worse="slower",
        better="faster",
        agree=(*_DEPLOYMENT, "together_batch_size_lines", "together_workers_count"),
        same_machine=True,
        scale=1e3,
        unit=" ms per line",
        columns=columns.THROUGHPUT,
    ),
    Measure(
        # One more in float32 is an int8 kernel that the engine no longer has, or a graph that it no longer fuses.
        name="float_operators",
        record=Operators,
        key="float_matrix_operators_count",
        limit=Limit(0),
        units=("",),
        compare=comparisons.scalar,
        agree=(*_DEPLOYMENT, "operators_batch_size_lines"),
        same_machine=True,
        unit=" operators",
        columns=columns.OPERATORS,
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
        columns=columns.LOSS,
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
        columns=columns.CER,
    ),
    Measure(
        name="bytes",
        record=Footprint,
        key="file_bytes",
        compare=comparisons.scalar,
        limit=Limit(1, "%"),
        unit=" bytes",
        columns=columns.SIZE,
    ),
    Measure(
        name="compressed",
        record=Footprint,
        key="compressed_bytes",
        compare=comparisons.scalar,
        limit=Limit(1, "%"),
        unit=" bytes",
        columns=columns.COMPRESSED,
    ),
    Measure(
        name="memory",
        record=Footprint,
        key="peak_memory_bytes",
        compare=comparisons.scalar,
        limit=Limit(10, "%"),
        agree=(*_DEPLOYMENT, "largest_batch_size_lines"),
        same_machine=True,
        unit=" bytes",
        columns=columns.MEMORY,
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


PAIRED = frozenset({RelativeLatency, Deployment})
"""Records of process pairs."""


def paired(record: Record) -> list[Measure]:
    """The measurements of a record of process pairs."""
    return [declared for declared in MEASURES if declared.record is type(record)]


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
