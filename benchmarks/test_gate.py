"""Latency as the gate compares it: pairs of fresh processes, one thread, one core. And that nothing went missing."""

from collections import deque

import pytest

from crnn.gate import sequential
from crnn.measure.process_pairs import Meter, settings
from fixtures.clock import advance, worker_clock
from fixtures.measurements import identity
from fixtures.selection import Selection

BATCH_SIZE = 1


@pytest.mark.benchmark(timer=worker_clock, group=f"gate, batch {BATCH_SIZE:3}, one thread")
def test_process_pairs(benchmark, gate, runner, corpus, options, request):
    """As many pairs of fresh processes as the answer takes; their calls answer what was judged."""
    meter = Meter(runner.variant, runner.artifact, corpus.test, BATCH_SIZE, options.device, options.worker_limit_s)
    if gate.base and gate.base.has(runner.variant.name):
        meter.compare_with(gate.base.workload(runner.variant.name))
    info = identity(runner, corpus) | settings(meter.reference, BATCH_SIZE) | {"gate_ratios": []}
    pairs = sequential.measure(meter.next_ratio, gate.references(request.node.nodeid, info), gate.family)

    seconds = deque(meter.seconds)
    benchmark.pedantic(lambda: advance(seconds.popleft()), rounds=len(seconds), warmup_rounds=0)
    benchmark.extra_info |= info | {
        "gate_ratios": pairs.screen,
        "gate_confirmation_ratios": pairs.confirmation,
        "gate_family_count": gate.family,
        "gate_pairs_s": meter.spent_s,
        "gate_answers_log_prob_difference_nats": meter.timed_differently(runner.judgement.log_probs),
    }

    assert (
        benchmark.extra_info["gate_answers_log_prob_difference_nats"] <= runner.variant.thresholds.max_timed_difference
    ), "timed calls answered other than what was judged"


def test_nothing_is_missing(gate, pytestconfig):
    """Every benchmark of the baseline that this session was asked for has a result."""
    missing = gate.missing(Selection.of(pytestconfig))

    assert [str(verdict) for verdict in missing] == []
