"""Latency as the gate compares it: pairs of fresh processes that alternate. And that nothing is missing."""

import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep_pairs


@pytest.mark.one_process
@pytest.mark.process_pairs
@pytest.mark.benchmark(timer=worker_clock, group="gate, batch   1, one thread")
def test_process_pairs(benchmark, gate, session, runner, request):
    """On one thread and one core; as many pairs as the verdict needs; their calls return the evaluated outputs."""
    from crnn.measure.meters import RelativeMeter

    meter = keep_pairs(benchmark, gate, session, runner, RelativeMeter, request.node)

    limits = runner.variant.thresholds
    assert meter.log_prob_difference <= limits.max_timed_difference, "timed outputs differ"
    assert meter.lines_read_differently <= limits.max_lines_read_differently, "timed outputs differ"


@pytest.mark.one_process
@pytest.mark.process_pairs
@pytest.mark.full_runs
@pytest.mark.benchmark(timer=worker_clock, group="gate, batch   1, deployment")
def test_deployment(benchmark, gate, session, runner, request):
    """On all cores, with one line and the largest batch; outputs are the evaluated ones."""
    from crnn.measure.meters import DeploymentMeter

    meter = keep_pairs(benchmark, gate, session, runner, DeploymentMeter, request.node)

    limits = runner.variant.thresholds
    assert meter.log_prob_difference <= limits.max_timed_difference, "timed outputs differ"
    assert meter.lines_read_differently <= limits.max_lines_read_differently, "timed outputs differ"


@pytest.mark.search_for_missing
def test_nothing_is_missing(gate, outcomes):
    """Every benchmark of the baseline that this session was asked for has a result."""
    missing = gate.missing(outcomes)

    assert [str(verdict) for verdict in missing] == []
