"""Seconds per batch, and the speed-up over the original from paired, interleaved blocks."""

import pytest

from crnn.measure.latency import (
    FULL,
    QUICK,
    Side,
    median_interval,
    percentile,
    run_pairs,
    speedup,
    supported_percentiles,
    timed_differently,
    warm_up,
)
from fixtures.clock import advance, worker_clock
from fixtures.measurements import identity


@pytest.mark.benchmark(timer=worker_clock)
def test_latency(benchmark, bench, runner, corpus, batch_size, options):
    """Calls answer what was judged, in the measured time."""
    plan = FULL if runner.variant.watched and not options.quick else QUICK
    side = Side(runner.worker, batch_size, runner.untimed[batch_size])
    reference, alone = bench.original(runner.variant)
    original = reference and Side(reference.worker, batch_size, reference.untimed[batch_size])
    sides = [side, original] if original else [side]
    warm_up(sides, plan)
    run_pairs(sides, plan)

    seconds = [second for block in side.blocks for second in block]
    calls = iter(seconds)
    benchmark.group = f"latency, batch {batch_size:3}"
    benchmark.pedantic(lambda: advance(next(calls)), rounds=len(seconds), warmup_rounds=0)

    median, interval = percentile(seconds, 0.5), median_interval(seconds)
    benchmark.extra_info |= identity(runner, corpus) | {
        "batch_size_lines": batch_size,
        "latency_median_s": median,
        "latency_median_low_s": interval and interval[0],
        "latency_median_high_s": interval and interval[1],
        "throughput_lines_per_s": batch_size / median,
        "first_call_s": side.first_call_s,
        "warmup_calls_count": len(side.untimed),
        "timed_calls_count": len(seconds),
        "calls_per_block_count": side.calls_per_block,
    }
    for rank, value in supported_percentiles(seconds).items():
        benchmark.extra_info[f"latency_p{rank}_s"] = value
    if original:
        gain = speedup(side, original)
        benchmark.extra_info |= {
            "speedup_ratio": gain.ratio,
            "speedup_low_ratio": gain.interval and gain.interval[0],
            "speedup_high_ratio": gain.interval and gain.interval[1],
            "speedup_pairs_count": gain.pairs,
            "speedup_verdict": gain.verdict,
        }
    else:
        benchmark.extra_info["measured_alone_because"] = alone

    difference = timed_differently(side, runner.judgement.log_probs)
    benchmark.extra_info["timed_answers_log_prob_difference_nats"] = difference
    assert difference <= runner.variant.thresholds.max_timed_difference, (
        "timed calls answered other than what was judged"
    )
