"""Judge the same weights 25 times, and weights made worse by 0.2 points of CER 60 times.

    python benchmarks/evidence/accuracy.py benchmarks/evidence/accuracy.json

The 25 are one model in PyTorch and ONNX Runtime, in batches of different sizes, on one thread
and on all. The 60 add Gaussian noise to one model's log probabilities, as coarse arithmetic
would, each with a seed of its own and as much noise as it takes: some lines get better, more
get worse.
"""

import json
import sys
from pathlib import Path

import numpy as np

from crnn import artifacts, registry
from crnn.corpus import open_corpus
from crnn.measure.accuracy import judge
from crnn.measure.packing import pack
from crnn.runtimes.process import WorkerProcess
from crnn.text import best_path, edits

_JUDGED = (
    *(("torch-original", size, threads) for size, threads in ((16, None), (64, None), (128, None), (128, 1))),
    *(("ort-torch2onnx", size, None) for size in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 128, 144, 233)),
    *(("ort-torch2onnx", size, 1) for size in (1, 32, 128)),
    *(("ort-torch2onnx-optimized", size, None) for size in (1, 7, 32, 100, 128)),
)
_DRAWS, _RISE = 60, 0.002


def main() -> None:
    """Write both as packed arrays."""
    corpus = open_corpus(None)
    lines = corpus.test
    reference, same = None, []
    for name, size, threads in _JUDGED:
        variant = registry.get(name)
        with WorkerProcess(name) as worker:
            worker.ask("load", variant.runtime, str(artifacts.find(variant, corpus)), "cpu", {}, threads)
            worker.ask("keep", lines.images, lines.kinds)
            judged = judge(worker.ask("judge", size)[0], lines, corpus.alphabet)
        reference = reference or judged
        apart = float(np.abs(judged.log_probs - reference.log_probs).max())
        setting = {"variant": name, "batch_size_lines": size, "threads": threads, "log_prob_difference_nats": apart}
        same.append(setting | {"line_edits": pack(judged.edits.astype(np.uint16))})
        print(f"{name} {size} {threads}: CER {judged.cer:.5f}, {apart:.2g} nats apart", flush=True)  # noqa: T201

    wanted = int(np.ceil(reference.edits.sum() + _RISE * reference.characters.sum()))
    planted = []
    for seed in range(_DRAWS):
        noise = np.random.default_rng(seed).standard_normal(reference.log_probs.shape, np.float32)
        low, high, found = 0.0, 8.0, None
        # The least noise that costs so many edits.
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
    Path(sys.argv[1]).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
