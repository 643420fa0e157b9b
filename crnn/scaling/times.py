"""Times of a row's calls over batch sizes, as a study measured them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from crnn.measure.records import Identity, measured
from crnn.measure.scaling_record import Scaling


class ScalingError(ValueError):
    """Raised for records that this study cannot use; the message says which and why."""


@dataclass(frozen=True)
class Times:
    """Seconds per call of one row.

    Attributes:
        name: the row.
        runtime: its engine and version.
        sizes: lines per call, int (K,), ascending.
        seconds: float (P, K), one row per process: ratios to the anchor's call, times the anchor's median in the run.
        record: what was measured.
    """

    name: str
    runtime: str
    sizes: np.ndarray
    seconds: np.ndarray
    record: Scaling

    @property
    def mean(self) -> np.ndarray:
        """Geometric mean over processes, float (K,)."""
        return np.exp(np.log(self.seconds).mean(axis=0))


def read(benchmarks: Iterable[Mapping[str, Any]]) -> list[Times]:
    """The rows of a run.

    Args:
        benchmarks: of a pytest-benchmark JSON.

    Raises:
        ScalingError: it holds no such record, or rows were measured beside different anchors.
    """
    found: list[tuple[Identity, Scaling]] = []
    for benchmark in benchmarks:
        entry = measured(benchmark["extra_info"])
        if entry and entry.identity and isinstance(entry.record, Scaling):
            found.append((entry.identity, entry.record))
    if not found:
        raise ScalingError("no batch scaling in this file; pytest benchmarks/test_batch_scaling.py measures it")
    if len({(record.scaling_anchor, record.scaling_anchor_sha256) for _, record in found}) > 1:
        raise ScalingError("rows were measured beside different anchors: they do not compare")
    anchor_s = median(second for _, record in found for second in record.scaling_anchor_s)
    return [
        Times(
            identity.variant,
            identity.runtime,
            np.array(record.scaling_sizes),
            anchor_s * np.array(record.scaling_ratios),
            record,
        )
        for identity, record in found
    ]
