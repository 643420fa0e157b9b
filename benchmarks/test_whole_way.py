"""The whole way from an image file to its text, and how much of it is the model."""

import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep


@pytest.mark.one_process
@pytest.mark.full
@pytest.mark.benchmark(timer=worker_clock, group="whole way, one line (seconds from file to text)")
def test_whole_way(benchmark, session, runner):
    """Decoding, scaling, model and CTC decoding are timed apart; the corpus's own files give the evaluated texts."""
    from crnn.measure import whole_way

    found, seconds = whole_way.measure(session, runner)
    keep(benchmark, seconds, session.identity(runner), found)

    limit = runner.variant.thresholds.max_lines_read_differently
    assert (found.way_texts_differ_count or 0) <= limit, "files are read differently than in the evaluation"
