"""Which operators an engine runs, and in which precision, as its own profiler tells."""

import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep


@pytest.mark.one_process
@pytest.mark.profiled
@pytest.mark.benchmark(timer=worker_clock, group="operators (seconds per profiled batch)")
def test_operators(benchmark, session, runner):
    """Convolutions, matrix products and LSTMs compute in the precision that the row names, or in float32."""
    from crnn.measure import operators

    found = operators.measure(session, runner)
    if found is None:
        pytest.skip(f"{runner.variant.name}: its engine does not tell which operators it runs")
    keep(benchmark, [found.operators_s], session.identity(runner), found)

    assert operators.faults(found, runner.variant.precision) == []
