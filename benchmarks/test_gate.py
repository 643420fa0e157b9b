"""Latency as the gate compares it: pairs of fresh processes, one thread, one core. And that nothing is missing."""

import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep

BATCH_SIZE = 1


@pytest.mark.one_process
@pytest.mark.process_pairs
@pytest.mark.benchmark(timer=worker_clock, group=f"gate, batch {BATCH_SIZE:3}, one thread")
def test_process_pairs(benchmark, gate, session, runner, request):
    """As many pairs of fresh processes as the verdict needs; their calls return the outputs that were evaluated."""
    from crnn.gate import sequential
    from crnn.measure.process_pairs import Meter

    name, identity = runner.variant.name, session.identity(runner)
    base = gate.base.workload(name) if gate.base and gate.base.has(name) else None
    meter = Meter(session, runner, BATCH_SIZE, base)
    references = gate.references(request.node.nodeid, identity, meter.record([]))
    pairs = sequential.measure(meter.next_ratio, references, gate.family)
    relative = meter.record(pairs.screen, pairs.confirmation, gate.family)
    keep(benchmark, meter.seconds, identity, relative)

    limits = runner.variant.thresholds
    assert relative.gate_answers_log_prob_difference_nats <= limits.max_timed_difference, "timed outputs differ"
    assert relative.gate_lines_read_differently_count <= limits.max_lines_read_differently, "timed outputs differ"


@pytest.mark.search_for_missing
def test_nothing_is_missing(gate, outcomes):
    """Every benchmark of the baseline that this session was asked for has a result."""
    missing = gate.missing(outcomes)

    assert [str(verdict) for verdict in missing] == []
