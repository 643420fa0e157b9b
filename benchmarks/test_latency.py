"""Seconds per batch in fresh processes that alternate with the anchor: ratios to it give the speed-ups."""

import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep


@pytest.mark.benchmark(timer=worker_clock)
def test_latency(benchmark, peaks, session, runner, batch_size):
    """Calls return the outputs that were evaluated, in the measured time."""
    from crnn.measure.roofline import placed

    latency, seconds = session.latency(runner, batch_size)
    identity = session.identity(runner)
    latency = placed(latency, runner.counted.macs_per_line, runner.variant.precision, identity.device, peaks)
    benchmark.group = f"latency, batch {batch_size:3}"
    keep(benchmark, seconds, identity, latency)

    limits = runner.variant.thresholds
    assert latency.timed_answers_log_prob_difference_nats <= limits.max_timed_difference, "timed outputs differ"
    assert latency.timed_lines_read_differently_count <= limits.max_lines_read_differently, "timed outputs differ"
