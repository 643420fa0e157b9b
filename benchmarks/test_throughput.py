"""Lines per second of two workers at the same time, for engines that servers run."""

import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep


@pytest.mark.one_process
@pytest.mark.full
@pytest.mark.throughput
@pytest.mark.benchmark(timer=worker_clock, group="throughput, two workers (seconds per line)")
def test_throughput(benchmark, session, runner, options):
    """Two workers with one thread each, compared with one with two threads; calls return the evaluated outputs."""
    from crnn.measure import throughput

    found, seconds = throughput.measure(session, runner, options.processes)
    keep(benchmark, seconds, session.identity(runner), found)

    limits = runner.variant.thresholds
    assert found.together_answers_log_prob_difference_nats <= limits.max_timed_difference, "timed outputs differ"
    assert found.together_lines_read_differently_count <= limits.max_lines_read_differently, "timed outputs differ"
