"""The committed baseline's measurements of each row, for the page's tables of related rows."""

from collections.abc import Callable
from dataclasses import dataclass, field

from crnn.measure.packing import saved
from crnn.measure.records import Accuracy, Footprint, Latency
from crnn.measure.records import measured as read
from crnn.measure.speedup import speedup
from crnn.optimize.studies.common import BATCH_SIZES, HERE, with_interval
from crnn.registry import VARIANTS, original_of
from crnn.registry.variant import Variant
from crnn.report.documents import markdown

BASELINE = (
    HERE.parents[2]
    / "fixtures"
    / "baselines"
    / "linux-x86_64-intel-r-xeon-r-processor-6-167-1-2-cores"
    / "0001_baseline.json"
)


@dataclass
class Row:
    """The measurements of one row."""

    accuracy: Accuracy
    footprint: Footprint
    latencies: dict[int, Latency] = field(default_factory=dict)


def measured() -> dict[str, Row]:
    """The committed baseline's measurements, by variant."""
    records: dict[str, list[object]] = {}
    for benchmark in saved(BASELINE)["benchmarks"]:
        entry = read(benchmark["extra_info"])
        if entry and entry.identity:
            records.setdefault(entry.identity.variant, []).append(entry.record)
    rows = {}
    for variant, found in records.items():
        [accuracy] = [record for record in found if isinstance(record, Accuracy)]
        [footprint] = [record for record in found if isinstance(record, Footprint)]
        latencies = {record.batch_size_lines: record for record in found if isinstance(record, Latency)}
        rows[variant] = Row(accuracy, footprint, latencies)
    return rows


def cer_difference(row: Row) -> str:
    """CER difference to the original in points, with its interval; empty for an original."""
    names = [f"cer_difference_to_original_{part}fraction" for part in ("", "low_", "high_")]
    ends = [getattr(row.accuracy, name) for name in names]
    return "" if ends[0] is None else with_interval(ends, "+.2f", 100)


def execution_table(chosen: Callable[[Variant], bool]) -> str:
    """Speed-ups over the original, CER differences and first calls of the chosen rows.

    A new row is missing until it is measured.
    """
    rows, baseline = [], measured()
    run = {size: [row.latencies[size] for row in baseline.values()] for size in BATCH_SIZES}
    for variant in filter(chosen, VARIANTS):
        if (row := baseline.get(variant.name)) is None:
            continue
        original = baseline[original_of(variant).name]
        found = [speedup(row.latencies[size], original.latencies[size], run[size]) for size in BATCH_SIZES]
        gains = [with_interval([gain.value, *(gain.interval or ())], ".2f") for gain in found]
        verdicts = {gain.verdict for gain in found}
        verdict = verdicts.pop() if len(verdicts) == 1 else "depends on the batch"
        calls = (row.latencies[size].first_call_s for size in BATCH_SIZES)
        first = " / ".join("-" if call is None else f"{call:.1f}" for call in calls)
        rows.append((variant.name, *gains, cer_difference(row), first, verdict))
    speedups = [f"speed-up, batch {size}" for size in BATCH_SIZES]
    sizes = " / ".join(map(str, BATCH_SIZES))
    return markdown(("row", *speedups, "CER - original's", f"first call, batch {sizes}, s", "verdict"), rows)
