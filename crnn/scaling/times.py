"""Times of a row's calls over batch sizes, as a study measured them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
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

    @cached_property
    def paces(self) -> np.ndarray:
        """How much slower each process was at all sizes alike, as a logarithm with mean 0: float (P, 1)."""
        logs = np.log(self.seconds)
        # (P, 1, K) - (1, P, K) -> (P, P): each pair's median difference over sizes
        return np.median(logs[:, None] - logs[None], axis=2).mean(axis=1, keepdims=True)

    @cached_property
    def typical(self) -> np.ndarray:
        """Median over processes at their common pace, float (K,): one disturbed process does not change it."""
        return np.exp(np.median(np.log(self.seconds) - self.paces, axis=0))


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
