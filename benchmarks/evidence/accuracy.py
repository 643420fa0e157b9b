"""Evaluate the same weights 25 times, and weights made worse by 0.2 points of CER 60 times.

    python -m benchmarks.evidence.accuracy benchmarks/evidence/accuracy.json

The 25 evaluations are of one model in PyTorch and ONNX Runtime, with different batch sizes, on one
thread and on all. The 60 add Gaussian noise to one model's log probabilities, as coarse arithmetic
would. Each has its own seed. The noise is scaled until it costs 0.2 points: some lines get better,
more get worse.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from crnn import registry
from crnn.corpus import open_corpus
from crnn.measure.accuracy import largest_difference
from crnn.measure.conversions import ready
from crnn.measure.packing import pack
from crnn.measure.workload import Workload, evaluated
from crnn.text import best_path, edits

_SETTINGS = (
    *(("torch-original", size, threads) for size, threads in ((16, None), (64, None), (128, None), (128, 1))),
    *(("ort-torch2onnx", size, None) for size in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 128, 144, 233)),
    *(("ort-torch2onnx", size, 1) for size in (1, 32, 128)),
    *(("ort-torch2onnx-optimized", size, None) for size in (1, 7, 32, 100, 128)),
)
"""Variant, lines per call, threads (None: the engine's default)."""
_DRAWS, _RISE = 60, 0.002


def main() -> None:
    """Write the edits of each line, of both kinds of evaluation, as packed arrays."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT.json")
    out = parser.parse_args().out
    corpus = open_corpus(None)
    lines = corpus.test
    reference, same = None, []
    for name, size, threads in _SETTINGS:
        variant = registry.get(name)
        workload = Workload.of(variant, ready(variant, corpus), corpus)
        with evaluated(workload, corpus, threads=threads, batch_size=size) as run:
            evaluation = run.evaluation
        reference = reference or evaluation
        difference = largest_difference(evaluation.log_probs, reference.log_probs)
        setting = {
            "variant": name,
            "batch_size_lines": size,
            "threads": threads,
            "log_prob_difference_nats": difference,
        }
        same.append(setting | {"line_edits": pack(evaluation.edits.astype(np.uint16))})
        print(f"{name} {size} {threads}: CER {evaluation.cer:.5f}, difference {difference:.2g} nats", flush=True)  # noqa: T201

    wanted = int(np.ceil(reference.edits.sum() + _RISE * reference.characters.sum()))
    planted = []
    for seed in range(_DRAWS):
        noise = np.random.default_rng(seed).standard_normal(reference.log_probs.shape, np.float32)
        low, high, found = 0.0, 8.0, None
        # Bisection for the least noise that costs this many edits.
        for _ in range(12):
            scale = (low + high) / 2
            read = edits(lines.labels, best_path(reference.log_probs + np.float32(scale) * noise, corpus.alphabet))
            if read.sum() >= wanted:
                high, found = scale, read
            else:
                low = scale
        planted.append(pack(found.astype(np.uint16)))
        print(f"seed {seed}: noise {high:.3f}, {found.sum()} edits of {wanted}", flush=True)  # noqa: T201
    content = {"line_characters": pack(reference.characters.astype(np.uint16)), "same": same, "planted": planted}
    out.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
