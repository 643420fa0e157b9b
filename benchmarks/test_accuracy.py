"""CER and CTC loss of the whole test split, each with its interval, against the variant's thresholds."""

import numpy as np
import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep


@pytest.mark.one_process
@pytest.mark.benchmark(timer=worker_clock, group="accuracy (seconds per batch of lines)")
def test_accuracy(benchmark, session, runner, corpus):
    """The variant reads the test split as well as its thresholds say."""
    from crnn.corpus.synthetic import NAME

    accuracy, limits = session.accuracy(runner), runner.variant.thresholds
    keep(benchmark, runner.reading.batch_seconds, session.identity(runner), accuracy)

    loss = accuracy.ctc_loss_nats_per_line  # None for a recognizer that returns texts
    assert loss is None or np.isfinite(loss), "a label has no path through the time steps"
    # Another corpus has its own difficulty; there the paired difference to the original is what counts.
    if corpus.name == NAME:
        # The thresholds hold for the whole split; a part of it only shows a loss that its interval does not explain.
        whole = accuracy.line_edits.size == len(corpus.test)
        cer = accuracy.cer_fraction if whole else accuracy.cer_low_fraction
        difference = (
            accuracy.cer_difference_to_original_fraction if whole else accuracy.cer_difference_to_original_low_fraction
        )
        assert cer <= (limits.max_cer or 1)
        assert (difference or 0) <= limits.max_cer_difference
