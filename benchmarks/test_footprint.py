"""What a variant weighs: parameters, bytes, multiply-adds, memory, against its thresholds."""

import pytest

from crnn.measure.footprint import artifact_bytes
from fixtures.clock import advance, worker_clock
from fixtures.measurements import identity


@pytest.mark.benchmark(timer=worker_clock, group="footprint (seconds to load)")
def test_footprint(benchmark, runner, corpus):
    """The variant is no larger than its row in the registry says."""
    from crnn.corpus.synthetic import NAME

    counted, size = runner.worker.ask("footprint"), artifact_bytes(runner.artifact)
    benchmark.pedantic(lambda: advance(runner.loaded["load_s"]), rounds=1, warmup_rounds=0)

    benchmark.extra_info |= identity(runner, corpus) | {
        "parameters_stored_count": counted["parameters_stored"],
        "parameters_nonzero_count": counted["parameters_nonzero"],
        "multiply_adds_per_line_count": counted["multiply_adds_per_line"],
        **size,
        "file_format": runner.artifact.suffix,
        "peak_memory_bytes": runner.peak_memory_bytes,
        "load_s": runner.loaded["load_s"],
        "first_call_of_process_s": runner.judge_seconds[0],
    }

    limits = runner.variant.thresholds
    # The classifier has a row a character: only the field corpus' alphabet gives the registry's count.
    if corpus.name == NAME:
        assert counted["parameters_stored"] == limits.parameters
        assert counted["parameters_nonzero"] <= (limits.max_nonzero_parameters or limits.parameters)
    assert size["file_bytes"] <= limits.max_bytes
    assert counted["multiply_adds_per_line"] <= limits.max_multiply_adds
    assert runner.peak_memory_bytes <= limits.max_peak_memory_bytes
