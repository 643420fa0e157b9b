"""How far process pairs of unchanged code agree, if workers take turns call by call or in blocks.

python -m benchmarks.evidence.turns benchmarks/evidence/turns.json
"""

import json
import random
import sys
from dataclasses import replace
from pathlib import Path

from crnn import registry
from crnn.corpus import open_corpus
from crnn.measure.conversions import ready
from crnn.measure.latency import Plan
from crnn.measure.pace import Pace
from crnn.measure.process_pairs import ONE_THREAD, measure
from crnn.measure.workload import Workload
from crnn.runtimes.base import runtime_class

_ROWS = ("torch-original", "ort-torch2onnx", "ov-int8", "litert-fp32", "fastest-ov-int8")
_PAIRS = 10
PLANS = {
    "single calls": Plan(warmup_s=0.1, pairs=50, block_s=0.0, settles=False),
    "blocks of 30 ms": ONE_THREAD.plan,
}


def main() -> None:
    """Write the ratios by row and plan."""
    corpus, measured = open_corpus(None), {}
    lines = corpus.test.take(range(256))
    for name in _ROWS:
        variant = registry.get(name)
        workloads = [
            Workload.of(variant, ready(variant, corpus), corpus),
            Workload("anchor", runtime_class(variant.runtime).anchor),
        ]
        measured[name] = {plan: [] for plan in PLANS}
        for order in range(_PAIRS):
            for plan in random.sample(list(PLANS), len(PLANS)):
                setting = replace(ONE_THREAD, plan=PLANS[plan])
                pair = measure(workloads, lines, setting, order=order, counts_threads=False, pace=Pace())
                measured[name][plan].append(round(pair.ratio, 5))
    Path(sys.argv[1]).write_text(json.dumps(measured, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
