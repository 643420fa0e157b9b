"""A real service beside the simulated one: MLPerf's LoadGen sends lines, and measures the 99th percentile.

    python -m crnn.scaling.serve ort-torch2onnx ov-int8 litert-fp32

In LoadGen's Server scenario lines arrive at random (Poisson); a thread reads them in dynamic batches. The engine has
one thread, because arrivals and results take a core of their own: on two cores, two threads of the engine would wait
for the load generator. Before and after, a worker with one thread is timed in the same minutes; the simulation takes
t(n) and its noise from these calls. Writes ``served.json``.
"""

import argparse
import json
import random
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from crnn import registry
from crnn.corpus import open_corpus
from crnn.corpus.lines import Lines, model_inputs
from crnn.measure.batch_sizes import built_for
from crnn.measure.conversions import ready
from crnn.measure.fingerprint import fingerprint
from crnn.measure.lock import measuring
from crnn.measure.workload import Workload
from crnn.registry.options import check_options
from crnn.runtimes.base import runtime_class
from crnn.scaling.batcher import Batcher
from crnn.scaling.service import Policy, Seconds, Service
from crnn.scaling.times import ScalingError

KEPT = Path(__file__).with_name("served.json")
POLICY = Policy(32, wait_s=0.002)
SHARES = (0.4, 0.7)
"""Rates, as shares of the saturation."""
_LINES, _SECONDS, _THREADS, _ROUNDS = 512, 40, 1, 16
_PROBED = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 28, 32)
_P99 = re.compile(r"99\.00 percentile latency \(ns\)\s*:\s*(\d+)")


def loadgen() -> Any:
    """MLPerf's load generator.

    Raises:
        ScalingError: it is not installed.
    """
    try:
        import mlperf_loadgen
    except ImportError:
        raise ScalingError("LoadGen is not installed: pip install mlcommons-loadgen, see requirements.txt") from None
    return mlperf_loadgen


def calls(workload: Workload, lines: Lines) -> dict[int, list[float]]:
    """Seconds of single calls at a few batch sizes, in a fresh process.

    Sizes follow each other at random, as in a service: an engine may be faster where they do not change.
    """
    draws, found = random.Random(0), dict[int, list[float]]()
    with workload.process() as worker:
        worker.ask("load", *workload.load_request("cpu", _THREADS))
        worker.ask("keep", *lines.at(workload.frame))
        for _ in range(_ROUNDS):
            for size in draws.sample(_PROBED, len(_PROBED)):
                seconds, _ = worker.ask("time", size, draws.randrange(len(lines)), 1)
                found.setdefault(size, []).extend(seconds)
    # The first round compiles and allocates.
    return {size: found[size][1:] for size in _PROBED}


def measured(probed: Sequence[dict[int, list[float]]]) -> tuple[Seconds, np.ndarray]:
    """t(n) of some calls, and the factors of single calls around it.

    Args:
        probed: seconds of calls by batch size; between these sizes t(n) is a straight line.
    """
    medians = {size: median([second for one in probed for second in one[size]]) for size in probed[0]}
    factors = [second / medians[size] for one in probed for size, found in one.items() for second in found]
    return (lambda sizes: np.interp(sizes, list(medians), list(medians.values()))), np.array(factors)


def served_p99_s(workload: Workload, lines: Lines, rate: float, policy: Policy, duration_s: float = _SECONDS) -> float:
    """The 99th percentile of LoadGen's Server scenario, in seconds.

    Args:
        workload: what is served, in this process.
        lines: that are read.
        rate: lines per second.
        policy: when a batch starts.
        duration_s: at least so long lines arrive.
    """
    generator = loadgen()
    engine = runtime_class(workload.runtime)
    check_options(engine.load, workload.options, workload.runtime)
    runtime = engine()
    runtime.threads = _THREADS
    runtime.load(Path(workload.artifact), "cpu", **workload.options)
    images, fields = model_inputs(lines.images, lines.kinds)
    for size in range(1, policy.most_lines + 1):
        runtime(images[:size], fields[:size])

    def answer(batch: Sequence[Any]) -> None:
        chosen = [sample.index for sample in batch]
        runtime(images[chosen], fields[chosen])
        generator.QuerySamplesComplete([generator.QuerySampleResponse(sample.id, 0, 0) for sample in batch])

    settings = generator.TestSettings()
    settings.scenario, settings.mode = generator.TestScenario.Server, generator.TestMode.PerformanceOnly
    settings.server_target_qps = rate
    settings.server_target_latency_ns = 10**10
    settings.server_target_latency_percentile = 0.99
    settings.min_duration_ms = settings.max_duration_ms = round(1000 * duration_s)
    settings.min_query_count = 1
    with tempfile.TemporaryDirectory() as folder, Batcher(answer, policy) as batcher:
        logs = generator.LogSettings()
        logs.log_output.outdir, logs.log_output.copy_summary_to_stdout = folder, False
        logs.enable_trace = False

        def issue(samples: Sequence[Any]) -> None:
            for sample in samples:
                batcher.add(sample)

        system = generator.ConstructSUT(issue, lambda: None)
        library = generator.ConstructQSL(len(lines), len(lines), lambda _: None, lambda _: None)
        try:
            generator.StartTestWithLogSettings(system, library, settings, logs)
        finally:
            generator.DestroyQSL(library)
            generator.DestroySUT(system)
        summary = Path(folder, "mlperf_log_summary.txt").read_text("utf-8")
    if not (line := _P99.search(summary)):
        raise ScalingError(f"LoadGen's summary has no 99th percentile:\n{summary}")
    return int(line[1]) * 1e-9


def serve(name: str) -> list[dict[str, Any]]:
    """Measured and simulated percentiles of a row, at each share of its saturation."""
    variant, corpus = registry.get(name), open_corpus(None)
    lines = corpus.test.take(range(_LINES))
    with tempfile.TemporaryDirectory() as folder:
        sizes = range(1, POLICY.most_lines + 1)
        workload = Workload.of(variant, built_for(ready(variant, corpus), sizes, Path(folder)), corpus)
        found, probed = [], [calls(workload, lines)]
        for share in SHARES:
            rate = share * Service(measured(probed[-1:])[0], POLICY).saturation
            p99 = served_p99_s(workload, lines, rate, POLICY)
            probed.append(calls(workload, lines))
            seconds, noise = measured(probed[-2:])
            predicted = Service(seconds, POLICY, noise).p99_s(rate)
            found.append({"share": share, "rate": rate, "measured_p99_s": p99, "predicted_p99_s": predicted})
    return found


def main() -> None:
    """Serve rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in registry.names()]:
        parser.error(f"no variant {', '.join(unknown)}")
    with measuring(wait=False):
        served = {name: serve(name) for name in given.names}
    # Rows that were served before stay.
    before = json.loads(KEPT.read_text("utf-8"))["rows"] if KEPT.exists() else {}
    content = {"fingerprint": fingerprint(), "most_lines": POLICY.most_lines, "wait_s": POLICY.wait_s}
    content |= {"rows": before | served}
    KEPT.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
