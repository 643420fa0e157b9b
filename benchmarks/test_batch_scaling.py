"""How the time of a call grows with the batch size. A separate study: it runs only if this file is named."""

import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep


@pytest.mark.one_process
@pytest.mark.study
@pytest.mark.benchmark(timer=worker_clock, group="batch scaling (seconds per call of the smallest size)")
def test_batch_scaling(benchmark, session, runner, options, tmp_path):
    """Dense sizes in shuffled order, over fresh processes; calls return the evaluated outputs."""
    from crnn.measure import scaling
    from crnn.measure.batch_sizes import built_for

    artifact = built_for(runner.artifact, options.scaling_sizes, tmp_path)
    found, seconds = scaling.measure(session, runner, artifact, options.scaling_sizes, options.processes)
    keep(benchmark, seconds, session.identity(runner), found)

    limits = runner.variant.thresholds
    assert found.scaling_outputs_log_prob_difference_nats <= limits.max_timed_difference, "timed outputs differ"
    assert found.scaling_lines_read_differently_count <= limits.max_lines_read_differently, "timed outputs differ"
