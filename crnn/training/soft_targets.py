"""A teacher's soft outputs over the training split: computed once, stored compactly, read by the student.

Offline, response-based distillation (Hinton et al., 2015, arXiv:1503.02531). Teacher and
student have to see the same picture (Beyer et al., 2022, arXiv:2106.05237), so the answers
are for a few augmented views of each line, which the student's epochs take in turn.
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
"""Of each time step's distribution the most probable classes are stored, the rest of the mass is shared evenly."""
# Less than this is not told from nothing by a float16 log probability of the kept classes.
_LEAST_REST = 1e-7


class SoftBatch(NamedTuple):
    """A training batch with the teacher's answers.

    Attributes:
        images, field, classes, lengths: as in ``batches.Batch``.
        teacher_classes: uint8 (B, 50, K), the teacher's most probable classes.
        teacher_log_probs: float16 (B, 50, K), their log probabilities.
    """

    images: np.ndarray
    field: np.ndarray
    classes: np.ndarray
    lengths: np.ndarray
    teacher_classes: np.ndarray
    teacher_log_probs: np.ndarray


def compress(log_probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities (B, T, C) -> the most probable classes uint8 and their log probabilities float16, (B, T, K)."""
    kept = min(KEPT_CLASSES, log_probs.shape[-1])
    classes = np.argpartition(log_probs, -kept, axis=-1)[..., -kept:]
    return classes.astype(np.uint8), np.take_along_axis(log_probs, classes, -1).astype(np.float16)


def restore(classes: np.ndarray, log_probs: np.ndarray, class_count: int) -> np.ndarray:
    """The inverse of ``compress`` but for how the rest of the mass is shared: float32 (B, T, C), normalized."""
    kept = log_probs.astype(np.float32)
    rest = np.maximum(1 - np.exp(kept).sum(-1, keepdims=True), _LEAST_REST)
    others = max(class_count - kept.shape[-1], 1)
    full = np.repeat(np.log(rest / others), class_count, axis=-1)
    np.put_along_axis(full, classes.astype(np.int64), kept, -1)
    return full - np.log(np.exp(full).sum(-1, keepdims=True))


Answer = Callable[[np.ndarray, np.ndarray], np.ndarray]


class SoftTargets:
    """The answers of one teacher for the views that one schedule shows, a file a view."""

    def __init__(
        self, teacher: Path, answer: Answer, corpus: Corpus, schedule: Schedule, folder: Path, views: int
    ) -> None:
        """Nothing is computed yet.

        Args:
            teacher: its artifact, which names the files together with all that a view depends on.
            answer: its log probabilities (B, 50, C) of a batch of images and fields.
            corpus: the train split is answered for.
            schedule: batch size and seed give the views.
            folder: where the files go.
            views: after as many epochs the first view comes again.
        """
        key = [hashlib.sha256(teacher.read_bytes()).hexdigest(), corpus.sha256, schedule.batch_size, schedule.seed]
        name = hashlib.sha256(repr((key, KEPT_CLASSES)).encode()).hexdigest()[:16]
        self._answer, self._corpus, self._schedule = answer, corpus, schedule
        self._stem, self._views = folder / f"soft-targets-{name}", views

    def _shown(self, view: int) -> Iterator[Batch]:
        schedule, corpus = self._schedule, self._corpus
        return training_batches(corpus.train, corpus.alphabet, schedule.batch_size, schedule.seed, view)

    def _stored(self, view: int) -> tuple[np.ndarray, np.ndarray]:
        """Classes and log probabilities (steps, B, 50, K), computed when the view is shown for the first time."""
        file = self._stem.with_name(f"{self._stem.name}-{view}.npz")
        if not file.exists():
            answers = [compress(self._answer(batch.images, batch.field)) for batch in self._shown(view)]
            classes, log_probs = (np.stack(part) for part in zip(*answers, strict=True))
            write_arrays(file, {"classes": classes, "log_probs": log_probs})
        with np.load(file, allow_pickle=False) as content:
            return content["classes"], content["log_probs"]

    def batches(self, epoch: int) -> Iterator[SoftBatch]:
        """An epoch's batches: those of the view whose turn it is, with the answers for them."""
        view = epoch % self._views
        for batch, classes, log_probs in zip(self._shown(view), *self._stored(view), strict=True):
            yield SoftBatch(*batch, classes, log_probs)
