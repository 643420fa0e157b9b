"""Train a PyTorch CRNN on labels and on a teacher's stored outputs."""

from dataclasses import dataclass
from pathlib import Path

import torch

from crnn.corpus.lines import Corpus
from crnn.formats import pt_file
from crnn.text import BLANK
from crnn.training.loop import Schedule
from crnn.training.soft_targets import SoftBatch, SoftTargets, restore
from crnn.training.torch_learner import Start, TorchLearner


@dataclass(frozen=True)
class Weighting:
    """Weights of the two parts of the loss.

    Attributes:
        labels: weight of the CTC loss on the labels.
        soft: weight of the KL divergence from the teacher's softened distribution.
        temperature: divides the logits of both distributions.
        blanks: weight of a time step at which teacher and student are both sure of the blank; others weigh 1.
            Most time steps are such, and they hide the few that tell characters (Kurata and Audhkhasi, 2019,
            arXiv:1904.08311).
    """

    labels: float = 1.0
    soft: float = 1.0
    temperature: float = 2.0
    blanks: float = 1.0


def softened_divergence(
    logits: torch.Tensor, teacher_log_probs: torch.Tensor, temperature: float, blanks: float = 1.0
) -> torch.Tensor:
    """Compute KL(teacher || student) in nats per line, summed over time steps, times the temperature squared.

    The square keeps the size of the gradients independent of the temperature
    (Hinton et al., 2015, section 2).

    Args:
        logits: the student's, float32 (B, T, C).
        teacher_log_probs: the teacher's, float32 (B, T, C).
        temperature: divides the logits of both distributions.
        blanks: see ``Weighting``.
    """
    student = (logits / temperature).log_softmax(-1)
    teacher = (teacher_log_probs / temperature).log_softmax(-1)
    divergence = torch.nn.functional.kl_div(student, teacher, reduction="none", log_target=True)
    both_blank = student[..., BLANK].detach().exp() * teacher[..., BLANK].exp()  # (B, T)
    weights = 1 - (1 - blanks) * both_blank
    return (weights * divergence.sum(2)).sum(1).mean() * temperature**2


def answers_of(teacher: Path, corpus: Corpus, schedule: Schedule, folder: Path, views: int) -> SoftTargets:
    """Create the soft targets of a ``.pt`` file for ``views`` views of the training split, stored in ``folder``."""
    log_probs = TorchLearner(pt_file.load(teacher), schedule).log_probs
    return SoftTargets(teacher, log_probs, corpus, schedule, folder, views)


class TorchDistiller(TorchLearner):
    """Learner on the CTC loss and the divergence from the teacher; its batches are ``SoftBatch``."""

    def __init__(self, start: Start, schedule: Schedule, weighting: Weighting) -> None:
        """Continue with a model, or initialize one."""
        super().__init__(start, schedule)
        self._weighting = weighting

    def loss(self, batch: SoftBatch) -> torch.Tensor:
        """Compute one batch's loss in nats per line, without an update."""
        return self._batch_loss(self._logits(batch.images, batch.field), batch)

    def _batch_loss(self, logits: torch.Tensor, batch: SoftBatch) -> torch.Tensor:  # type: ignore[override]
        given = self._weighting
        loss = logits.new_zeros(())
        if given.labels:
            loss = loss + given.labels * super()._batch_loss(logits, batch)  # type: ignore[arg-type]
        if given.soft:
            teacher = torch.from_numpy(restore(batch.teacher_classes, batch.teacher_log_probs, logits.shape[-1]))
            loss = loss + given.soft * softened_divergence(logits, teacher, given.temperature, given.blanks)
        return loss
