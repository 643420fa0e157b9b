"""What the suite itself costs: a call of a runtime that does nothing, and collecting."""

import os
import subprocess
import sys

import pytest

from fixtures.clock import worker_clock
from fixtures.measurements import keep

_CALLS = 500
_MOST_S = 20e-6
_COLLECTIONS = 5
_MOST_TO_COLLECT_S = 1.0


@pytest.mark.benchmark(timer=worker_clock, group="harness, batch   1")
@pytest.mark.usefixtures("machine")
def test_harness_overhead(benchmark, corpus):
    """A batch-1 call of an engine that does nothing takes at most 20 microseconds."""
    from crnn.measure.latency import percentile
    from crnn.measure.records import HarnessOverhead
    from crnn.measure.workload import Workload

    workload = Workload("noop", "noop", options={"classes": len(corpus.alphabet) + 1})
    with workload.process() as worker:
        worker.ask("load", *workload.load_request("cpu", None))
        worker.ask("keep", corpus.test.images[:64], corpus.test.kinds[:64])
        worker.ask("time", 1, 0, _CALLS)
        seconds = worker.ask("time", 1, 0, _CALLS)[0]
    overhead = percentile(seconds, 0.5)
    keep(benchmark, seconds, HarnessOverhead(harness_overhead_median_s=overhead, timed_calls_count=len(seconds)))

    assert overhead <= _MOST_S


@pytest.mark.benchmark(group="harness, collecting")
def test_collecting(benchmark, pytestconfig):
    """``pytest --collect-only -q benchmarks``, the whole process, takes at most a second."""
    from crnn.measure.records import Collecting

    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "benchmarks"]
    # Where it is set, each process compiles all sources again: a quarter of the time, and not the suite's.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def collect() -> None:
        subprocess.run(command, cwd=pytestconfig.rootpath, env=environment, capture_output=True, check=True)

    benchmark.pedantic(collect, rounds=_COLLECTIONS, warmup_rounds=1)
    if benchmark.disabled:
        return
    # The minimum of several: whatever else runs on the machine only adds to it.
    fastest = benchmark.stats.stats.min
    benchmark.extra_info |= Collecting(collecting_min_s=fastest).to_json()

    assert fastest <= _MOST_TO_COLLECT_S
