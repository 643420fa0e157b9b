"""A teacher's soft outputs for fresh lines: computed once per chunk, kept beside it, read by the student."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from crnn.corpus.lines import model_inputs
from crnn.text import encode
from crnn.training.batches import Batch
from crnn.training.fresh import FreshLines, is_whole
from crnn.training.loop import write_arrays
from crnn.training.soft_targets import KEPT_CLASSES, LogProbs, SoftBatch, compress

_BATCH = 64


class FreshTargets:
    """The outputs of one teacher for fresh lines, one file per chunk; an interrupted computation goes on."""

    def __init__(self, teacher: Path, log_probs: Callable[[], LogProbs], lines: FreshLines) -> None:
        """Choose the files; nothing is computed yet.

        Args:
            teacher: the teacher's artifact; its hash is part of the files' names, so that another teacher's outputs
                are never read.
            log_probs: makes the teacher; called if there is something to compute.
            lines: prepared.
        """
        key = f"{hashlib.sha256(teacher.read_bytes()).hexdigest()}-{KEPT_CLASSES}"
        self._key = hashlib.sha256(key.encode()).hexdigest()[:16]
        self._log_probs, self._lines = log_probs, lines

    def path(self, index: int) -> Path:
        """The file for a chunk."""
        chunk = self._lines.path(index)
        return chunk.with_name(f"{chunk.stem}-targets-{self._key}.npz")

    def prepare(self) -> None:
        """Compute the outputs that are missing or damaged."""
        teacher: LogProbs | None = None
        missing = [index for index in range(self._lines.chunks) if not is_whole(self.path(index))]
        for index in tqdm(missing, "teacher's outputs", unit="chunk", disable=None):
            teacher = teacher or self._log_probs()
            lines = self._lines.chunk(index)
            parts = []
            for start in range(0, len(lines), _BATCH):
                rows = slice(start, start + _BATCH)
                parts.append(compress(teacher(*model_inputs(lines.images[rows], lines.kinds[rows]))))
            classes, log_probs = (np.concatenate(part) for part in zip(*parts, strict=True))
            write_arrays(self.path(index), {"classes": classes, "log_probs": log_probs})

    def stored(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read a chunk's outputs: classes uint8 (N, T, K), their log probabilities float16 (N, T, K)."""
        with np.load(self.path(index), allow_pickle=False) as content:
            return content["classes"], content["log_probs"]


def steps_per_epoch(lines: FreshLines, batch_size: int) -> int:
    """Batches that ``fresh_batches`` yields."""
    return lines.chunks * (lines.chunk_lines // batch_size)


def fresh_batches(
    lines: FreshLines, targets: FreshTargets | None, alphabet: str, batch_size: int, seed: int, epoch: int
) -> Iterator[Batch | SoftBatch]:
    """Yield an epoch's batches: all chunks in random order, the lines of each in random order.

    They depend on seed and epoch only, so a resumed run gets the same batches.

    Args:
        lines: prepared.
        targets: prepared, or None for batches without a teacher's outputs.
        alphabet: of the labels.
        batch_size: lines per batch.
        seed: of the order.
        epoch: counted from 0.
    """
    random = np.random.default_rng([seed, epoch])
    for index in random.permutation(lines.chunks).tolist():
        chunk = lines.chunk(index)
        classes, lengths = encode(chunk.labels, alphabet)
        soft = targets.stored(index) if targets else ()
        order = random.permutation(len(chunk))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            batch = Batch(*model_inputs(chunk.images[rows], chunk.kinds[rows]), classes[rows], lengths[rows])
            yield SoftBatch(*batch, *(part[rows] for part in soft)) if soft else batch
