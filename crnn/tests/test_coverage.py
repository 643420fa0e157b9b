"""Whether a later run confirms a run's intervals, recomputed from the runs in ``benchmarks/evidence/runs``."""

import json
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from math import log
from pathlib import Path

import pytest

from crnn.measure.speedup import NO_DIFFERENCE, RERUN, quotient
from crnn.registry import get

RUNS = [
    json.loads(path.read_text("utf-8"))
    for path in sorted((Path(__file__).parents[2] / "benchmarks" / "evidence" / "runs").glob("*.json"))
]
REFERENCE = "torch-original"
# Rows that compute what another row computes, by the same kernels.
SAME_WORK = {
    "torch-clustered-16": "torch-original",
    "torch-clustered-64": "torch-original",
    "tf-magnitude-pruned-full": "tf-original",
    "tf-magnitude-pruned-partial": "tf-original",
    "tf-clustered-16": "tf-original",
    "tf-clustered-64": "tf-original",
    "tf-magnitude-pruned-clustered": "tf-original",
    "tf-original-packed": "tf-original",
    "ort-tf2onnx-optimized": "ort-tf2onnx",
    "ort-torch2onnx-optimized": "ort-torch2onnx",
}


def ratios(run):
    """Ratios to the anchor, by variant and batch size."""
    return {(entry["variant"], entry["batch_size"]): entry["anchor_ratios"] for entry in run["latencies"]}


def speedups(run):
    """Speed-ups over the reference at batch 1 and the largest batch, by variant and batch size."""
    found = ratios(run)
    sizes = {size for _, size in found}
    return {
        (name, size): quotient(found[name, size], found[REFERENCE, size])
        for name, size in found
        if size in (min(sizes), max(sizes)) and name != REFERENCE
    }


def overlap(one, other):
    """Whether two intervals have a value in common."""
    return one[0] <= other[1] and other[0] <= one[1]


def widened(estimate):
    """The interval in which a second run's estimate is expected."""
    return tuple(log(estimate.value) + RERUN * (log(end) - log(estimate.value)) for end in estimate.interval)


def test_three_runs_an_hour_apart():
    """There are three runs on one kind of machine, at least an hour apart, each in its own order."""
    started = sorted(datetime.fromisoformat(run["started"]) for run in RUNS)

    assert len(started) == 3
    assert [later - earlier >= timedelta(hours=1) for earlier, later in pairwise(started)] == [
        True,
        True,
    ]
    assert len({json.dumps(run["fingerprint"], sort_keys=True) for run in RUNS}) == 1
    assert len({run["order_seed"] for run in RUNS}) == 3


def test_intervals_overlap():
    """At least 95 % of the speed-up intervals overlap between any two runs."""
    pairs = [
        overlap(one[key].interval, other[key].interval)
        for one, other in combinations(map(speedups, RUNS), 2)
        for key in one.keys() & other.keys()
    ]

    assert sum(pairs) >= 0.95 * len(pairs)


def test_later_estimates_are_expected():
    """At least 90 % of the later runs' speed-ups lie in the first run's intervals, widened by the root of two."""
    first, *later = map(speedups, RUNS)
    inside = []
    for run in later:
        for key in first.keys() & run.keys():
            low, high = widened(first[key])
            inside.append(low <= log(run[key].value) <= high)

    assert sum(inside) >= 0.9 * len(inside)


def test_where_the_truth_is_one():
    """Rows that do another row's work get a verdict in at most 5 % of their cases."""
    verdicts = [
        quotient(found[name, size], found[SAME_WORK[name], size]).verdict
        for found in map(ratios, RUNS)
        for name, size in found
        if name in SAME_WORK
    ]

    assert len(verdicts) >= 3 * 2 * len(SAME_WORK)
    assert sum(verdict != NO_DIFFERENCE for verdict in verdicts) <= 0.05 * len(verdicts)


@pytest.mark.parametrize("name", [*SAME_WORK, *SAME_WORK.values()])
def test_these_rows_are_in_the_registry(name):
    """Each row whose truth is known is a row of the registry."""
    assert get(name).name == name
