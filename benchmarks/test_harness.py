"""What the suite itself costs: a call of a runtime that does nothing, and collecting."""

import subprocess
import sys

import pytest

from crnn.measure.latency import percentile
from crnn.runtimes.process import WorkerProcess
from fixtures.clock import advance, worker_clock

_CALLS = 500
_MOST_S = 20e-6
_COLLECTIONS = 5
_MOST_TO_COLLECT_S = 1.0


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


@pytest.mark.benchmark(group="harness, collecting")
def test_collecting(benchmark, pytestconfig):
    """``pytest --collect-only -q benchmarks``, the whole process, takes at most a second."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "benchmarks"]

    def collect() -> None:
        subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, check=True)

    benchmark.pedantic(collect, rounds=_COLLECTIONS, warmup_rounds=1)
    if benchmark.disabled:
        return
    # The least of several: what else runs on the machine only adds to it.
    fastest = benchmark.stats.stats.min
    benchmark.extra_info["collecting_min_s"] = fastest

    assert fastest <= _MOST_TO_COLLECT_S
