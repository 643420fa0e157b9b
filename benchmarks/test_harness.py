"""What the harness itself adds to a call, measured with a runtime that does nothing."""

import pytest

from crnn.latency import percentile
from crnn.runtimes.process import WorkerProcess
from fixtures.clock import advance, worker_clock

_CALLS = 500
_MOST_S = 20e-6


@pytest.mark.benchmark(timer=worker_clock, group="harness, batch   1")
def test_harness_overhead(benchmark, corpus):
    """A batch-1 call of a runtime that does nothing takes at most 20 microseconds."""
    with WorkerProcess("noop") as worker:
        worker.ask("load", "noop", "", "cpu", {"classes": len(corpus.alphabet) + 1})
        worker.ask("keep", corpus.test.images[:64], corpus.test.kinds[:64])
        worker.ask("time", 1, 0, _CALLS)
        calls = iter(worker.ask("time", 1, 0, _CALLS)[0])
        seconds = []

        def next_call() -> None:
            seconds.append(next(calls))

        benchmark.pedantic(lambda: advance(seconds[-1]), setup=next_call, rounds=_CALLS, warmup_rounds=0)
    overhead = percentile(seconds, 0.5)
    benchmark.extra_info |= {"harness_overhead_median_s": overhead, "timed_calls_count": len(seconds)}

    assert overhead <= _MOST_S
