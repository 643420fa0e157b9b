"""What a row is chosen by: each criterion, how it is read from a run, and in which units a limit is written."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crnn.measure.record import Record
from crnn.measure.records import Accuracy, Footprint, Latency
from crnn.report.results import ReportError, Results

_BYTES = {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2.0**10, "MIB": 2.0**20, "GIB": 2.0**30}
_SECONDS = {"US": 1e-6, "MS": 1e-3, "S": 1.0}
_SHARE = {"PP": 1e-2, "%": 1e-2}
_COUNT = {"": 1.0, "K": 1e3, "M": 1e6}
_CORE_SECONDS = {"CORE-MS": 1e-3, "CORE-S": 1.0}
_LIMIT = re.compile(r"\s*([a-z0-9_-]+)\s*=\s*([0-9.]+(?:e-?[0-9]+)?)\s*([a-z%-]*)\s*", re.IGNORECASE)

Read = Callable[["Measured"], float | None]


@dataclass(frozen=True)
class Measured:
    """The records of a row at the batch size in question; None for what was not measured."""

    latency: Latency | None
    accuracy: Accuracy | None
    footprint: Footprint | None
    threads: int | None
    is_original: bool

    @classmethod
    def of(cls, results: Results, name: str, size: int) -> "Measured":
        """A row of some results."""
        row, identity = results.rows[name], results.identity(name)

        def record(kind: type[Record], at: int | None = None) -> Any:
            found = row.get((kind, at))
            return found.record if found else None

        latency, accuracy, footprint = record(Latency, size), record(Accuracy), record(Footprint)
        return cls(latency, accuracy, footprint, identity.threads_count, identity.original == name)


@dataclass(frozen=True)
class Criterion:
    """Something that a row has less or more of; less is better.

    Attributes:
        name: on the command line.
        meaning: for the list of all.
        read: its value, None if it was not measured.
        units: factors of the units in which a limit may be written, by name in capitals.
        shown: formats a value.
        lacking: why a row may have no value.
    """

    name: str
    meaning: str
    read: Read
    units: Mapping[str, float]
    shown: Callable[[float], str]
    lacking: str = "not measured"


def _bytes(value: float) -> str:
    return f"{value / 1e6:,.0f} MB" if value >= 1e8 else f"{value / 1e6:,.2f} MB"


def _time(value: float) -> str:
    return f"{value:,.2f} s" if value >= 1 else f"{1e3 * value:,.3g} ms"


def _cer_loss(row: Measured) -> float | None:
    if row.is_original and row.accuracy:
        return 0.0
    return row.accuracy.cer_difference_to_original_fraction if row.accuracy else None


def _cost(row: Measured) -> float | None:
    if row.latency is None or row.threads is None:
        return None
    return row.latency.latency_median_s * row.threads / row.latency.batch_size_lines


def _of(kind: str, name: str) -> Read:
    def read(row: Measured) -> float | None:
        record = getattr(row, kind)
        return None if record is None else getattr(record, name)

    return read


CRITERIA = {
    one.name: one
    for one in (
        Criterion("latency", "median seconds per call", _of("latency", "latency_median_s"), _SECONDS, _time),
        Criterion(
            "p95",
            "95th percentile of seconds per call",
            _of("latency", "latency_p95_s"),
            _SECONDS,
            _time,
            "a 95th percentile needs 59 timed calls: add processes with --processes",
        ),
        Criterion(
            "cost",
            "core-seconds per line: seconds per line times the threads that compute",
            _cost,
            _CORE_SECONDS,
            lambda value: f"{1e3 * value:.3g} core-ms per line",
        ),
        Criterion("cer", "CER", _of("accuracy", "cer_fraction"), _SHARE, lambda value: f"{100 * value:.2f} %"),
        Criterion("cer_loss", "CER minus that of the row's original, in points (pp)", _cer_loss, _SHARE,
                  lambda value: f"{100 * value:+.2f} points"),
        Criterion(
            "memory",
            "peak resident memory after calls at this and smaller batch sizes",
            _of("latency", "peak_memory_bytes"),
            _BYTES,
            _bytes,
        ),
        Criterion("bytes", "size of the artifact", _of("footprint", "file_bytes"), _BYTES, _bytes),
        Criterion("compressed", "size of the artifact, deflated", _of("footprint", "compressed_bytes"), _BYTES, _bytes),
        Criterion(
            "parameters",
            "stored parameters",
            _of("footprint", "parameters_stored_count"),
            _COUNT,
            lambda value: f"{value:,.0f}",
        ),
        Criterion("load", "seconds to load, imports included", _of("footprint", "load_s"), _SECONDS, _time),
        Criterion(
            "first_call",
            "seconds of the first call at this batch size",
            _of("latency", "first_call_s"),
            _SECONDS,
            _time,
            "--quick runs do not measure first calls",
        ),
    )
}  # fmt: skip
"""All criteria by name."""
OBJECTIVES = ("latency", "p95", "cost")
"""What can be minimized: these follow the time of a call, whose differences between rows have intervals."""


def label(name: str) -> str:
    """What a sentence calls a criterion."""
    return name.replace("_", " ").replace("cer", "CER")


def criterion(name: str) -> Criterion:
    """The criterion of that name.

    Raises:
        ReportError: there is none; the message lists all.
    """
    if name not in CRITERIA:
        raise ReportError(f"no criterion {name!r}; there are: {', '.join(CRITERIA)}")
    return CRITERIA[name]


def parse(text: str) -> dict[str, float]:
    """Limits such as ``memory=500MB,cer_loss=0.1pp``, in the units of the records.

    Raises:
        ReportError: an unknown criterion, a number that is none, or a unit that does not fit; the message says which.
    """
    limits = {}
    for part in filter(None, text.split(",")):
        found = _LIMIT.fullmatch(part)
        if not found:
            raise ReportError(f"--max {part.strip()!r}: expected NAME=NUMBER and a unit, such as memory=500MB")
        name, number, unit = found[1], found[2], found[3].upper()
        units = criterion(name).units
        try:
            limits[name] = float(number) * units[unit]
        except KeyError:
            known = ", ".join(one.lower() if one not in _BYTES else one for one in units if one)
            raise ReportError(f"--max {part.strip()}: {name} needs a unit, one of {known}") from None
        except ValueError:
            raise ReportError(f"--max {part.strip()}: {number!r} is no number") from None
    return limits
