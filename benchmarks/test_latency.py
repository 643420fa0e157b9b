"""Seconds per batch, and the speed-up over the original from paired, interleaved blocks."""

import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep


@pytest.mark.benchmark(timer=worker_clock)
def test_latency(benchmark, session, runner, batch_size, options):
    """Calls return the outputs that were evaluated, in the measured time."""
    from crnn.measure.latency import FULL, QUICK

    plan = FULL if runner.variant.watched and not options.quick else QUICK
    latency, seconds = session.latency(runner, batch_size, plan)
    benchmark.group = f"latency, batch {batch_size:3}"
    keep(benchmark, seconds, session.identity(runner), latency)

    limits = runner.variant.thresholds
    assert latency.timed_answers_log_prob_difference_nats <= limits.max_timed_difference, "timed outputs differ"
    assert latency.timed_lines_read_differently_count <= limits.max_lines_read_differently, "timed outputs differ"
