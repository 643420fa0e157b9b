"""A teacher's soft outputs over the training split: computed once, stored compactly, read by the student.

Offline, response-based distillation (Hinton et al., 2015, arXiv:1503.02531). Teacher and
student must see the same picture (Beyer et al., 2022, arXiv:2106.05237), so the outputs
are stored for a few augmented views of each line, and the student's epochs cycle through them.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crnn.corpus.lines import Corpus
from crnn.training.batches import Batch, training_batches
from crnn.training.loop import Schedule, write_arrays

KEPT_CLASSES = 8
"""Most probable classes stored per time step; the other classes share the remaining mass evenly."""
# Below this, the float16 log probabilities of the kept classes leave no significant remainder.
_LEAST_REST = 1e-7


class SoftBatch(NamedTuple):
    """A training batch with the teacher's outputs.

    Attributes:
        images, field, classes, lengths: as in ``batches.Batch``.
        teacher_classes: uint8 (B, T, K), the teacher's most probable classes.
        teacher_log_probs: float16 (B, T, K), their log probabilities.
    """

    images: np.ndarray
    field: np.ndarray
    classes: np.ndarray
    lengths: np.ndarray
    teacher_classes: np.ndarray
    teacher_log_probs: np.ndarray


def compress(log_probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep the most probable classes: float (B, T, C) -> uint8 (B, T, K), their log probabilities float16 (B, T, K)."""
    kept = min(KEPT_CLASSES, log_probs.shape[-1])
    classes = np.argpartition(log_probs, -kept, axis=-1)[..., -kept:]
    return classes.astype(np.uint8), np.take_along_axis(log_probs, classes, -1).astype(np.float16)


def restore(classes: np.ndarray, log_probs: np.ndarray, class_count: int) -> np.ndarray:
    """Invert ``compress``, except for how the remaining mass is shared: float32 (B, T, C), normalized."""
    kept = log_probs.astype(np.float32)
    rest = np.maximum(1 - np.exp(kept).sum(-1, keepdims=True), _LEAST_REST)
    others = max(class_count - kept.shape[-1], 1)
    full = np.repeat(np.log(rest / others), class_count, axis=-1)
    np.put_along_axis(full, classes.astype(np.int64), kept, -1)
    return full - np.log(np.exp(full).sum(-1, keepdims=True))


LogProbs = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A model: images float32 (B, H, W) and field float32 (B, T, 2) -> log probabilities (B, T, C)."""


class SoftTargets:
    """The outputs of one teacher for the augmented views of one schedule, one file per view."""

    def __init__(
        self, teacher: Path, log_probs: LogProbs, corpus: Corpus, schedule: Schedule, folder: Path, views: int
    ) -> None:
        """Choose the files; nothing is computed yet.

        Args:
            teacher: the teacher's artifact; its hash is part of the files' names.
            log_probs: the teacher.
            corpus: outputs are stored for its train split.
            schedule: its batch size and seed determine the views.
            folder: where the files are written.
            views: number of views; the epochs cycle through them.
        """
        key = [hashlib.sha256(teacher.read_bytes()).hexdigest(), corpus.sha256, schedule.batch_size, schedule.seed]
        name = hashlib.sha256(repr((key, KEPT_CLASSES)).encode()).hexdigest()[:16]
        self._log_probs, self._corpus, self._schedule = log_probs, corpus, schedule
        self._stem, self._views = folder / f"soft-targets-{name}", views

    def _view(self, view: int) -> Iterator[Batch]:
        schedule, corpus = self._schedule, self._corpus
        return training_batches(corpus.train, corpus.alphabet, schedule.batch_size, schedule.seed, view)

    def _stored(self, view: int) -> tuple[np.ndarray, np.ndarray]:
        """Read classes and log probabilities (steps, B, T, K) of a view; they are computed on first use."""
        file = self._stem.with_name(f"{self._stem.name}-{view}.npz")
        if not file.exists():
            outputs = [compress(self._log_probs(batch.images, batch.field)) for batch in self._view(view)]
            classes, log_probs = (np.stack(part) for part in zip(*outputs, strict=True))
            write_arrays(file, {"classes": classes, "log_probs": log_probs})
        with np.load(file, allow_pickle=False) as content:
            return content["classes"], content["log_probs"]

    def batches(self, epoch: int) -> Iterator[SoftBatch]:
        """Yield the batches of an epoch's view, with the teacher's outputs for them."""
        view = epoch % self._views
        for batch, classes, log_probs in zip(self._view(view), *self._stored(view), strict=True):
            yield SoftBatch(*batch, classes, log_probs)
