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
from crnn.training.batches import training_batches
from crnn.training.loop import Schedule

KEPT_CLASSES = 8
"""Of each time step's distribution the most probable classes are stored, the rest of the mass is shared evenly."""
VIEWS = 4
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
    """The stored answers of one teacher for the views that one schedule shows."""

    def __init__(self, corpus: Corpus, schedule: Schedule, classes: np.ndarray, log_probs: np.ndarray) -> None:
        self._corpus, self._schedule = corpus, schedule
        self._classes, self._log_probs = classes, log_probs  # (views, steps, B, 50, K)

    @classmethod
    def of(cls, teacher: Path, answer: Answer, corpus: Corpus, schedule: Schedule, folder: Path) -> "SoftTargets":
        """Read the answers, or compute them once and leave them in ``folder``.

        Args:
            teacher: its artifact, which names the file together with all that the views depend on.
            answer: its log probabilities (B, 50, C) of a batch of images and fields.
            corpus: the train split is answered for.
            schedule: batch size and seed give the views.
            folder: where the file goes.
        """
        key = [hashlib.sha256(teacher.read_bytes()).hexdigest(), corpus.sha256, schedule.batch_size, schedule.seed]
        name = hashlib.sha256(repr((key, VIEWS, KEPT_CLASSES)).encode()).hexdigest()[:16]
        file = folder / f"soft-targets-{name}.npz"
        if not file.exists():
            answers = [
                compress(answer(batch.images, batch.field))
                for view in range(VIEWS)
                for batch in training_batches(corpus.train, corpus.alphabet, schedule.batch_size, schedule.seed, view)
            ]
            shape = (VIEWS, len(answers) // VIEWS)
            classes, log_probs = (np.stack(part).reshape(*shape, *part[0].shape) for part in zip(*answers, strict=True))
            temporary = file.with_suffix(".tmp")
            try:
                with temporary.open("wb") as stream:
                    np.savez(stream, allow_pickle=False, classes=classes, log_probs=log_probs)
                temporary.replace(file)
            finally:
                temporary.unlink(missing_ok=True)
        with np.load(file, allow_pickle=False) as content:
            return cls(corpus, schedule, content["classes"], content["log_probs"])

    def batches(self, epoch: int) -> Iterator[SoftBatch]:
        """An epoch's batches: those of the view whose turn it is, with the answers for them."""
        view = epoch % VIEWS
        seen = training_batches(
            self._corpus.train, self._corpus.alphabet, self._schedule.batch_size, self._schedule.seed, view
        )
        for batch, classes, log_probs in zip(seen, self._classes[view], self._log_probs[view], strict=True):
            yield SoftBatch(*batch, classes, log_probs)
