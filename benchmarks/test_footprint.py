"""What a variant weighs: parameters, MACs, bytes, memory, against its thresholds."""

import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep
from fixtures.options import FULL_BATCH_SIZES


@pytest.mark.benchmark(timer=worker_clock, group="footprint (seconds to load)")
def test_footprint(benchmark, session, runner, corpus):
    """The variant is no larger than its thresholds say."""
    from crnn.corpus.synthetic import NAME
    from crnn.measure.footprint import memory_limit_bytes, most_bytes, relative_memory_limit_bytes

    identity = session.identity(runner)
    footprint, limits = session.footprint(runner), runner.variant.thresholds
    keep(benchmark, [replicate.load_s for replicate in runner.replicates], identity, footprint)

    # The classifier has a row per character: only the field corpus' alphabet gives the registry's counts.
    if corpus.name == NAME and limits.parameters is not None:
        assert footprint.parameters_stored_count == limits.parameters
        assert footprint.parameters_nonzero_count <= (limits.max_nonzero_parameters or limits.parameters)
        assert footprint.multiply_adds_per_line_count == limits.macs
    assert footprint.file_bytes <= most_bytes(runner.variant, corpus)
    limit = memory_limit_bytes(runner.variant, identity.device)
    if corpus.name != NAME or max(session.scope.batch_sizes) > max(FULL_BATCH_SIZES):
        original, _ = session.original(runner.variant)
        limit = relative_memory_limit_bytes(
            runner.variant, identity.device, session.footprint(original) if original else None
        )
    # Without a limit, the value is saved all the same.
    assert limit is None or footprint.peak_memory_bytes <= limit
