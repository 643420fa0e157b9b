"""Training a PyTorch CRNN on labels and on a teacher's stored answers."""

from dataclasses import dataclass
from pathlib import Path

import torch

from crnn.corpus.lines import Corpus
from crnn.models import torch_crnn
from crnn.models.config import CRNNConfig
from crnn.models.torch_crnn import CRNN
from crnn.training.loop import Schedule
from crnn.training.soft_targets import SoftBatch, SoftTargets, restore
from crnn.training.torch_learner import TorchLearner


@dataclass(frozen=True)
class Weighting:
    """What the two parts of the loss count.

    Attributes:
        labels: of the CTC loss on the labels.
        soft: of the KL divergence from the teacher's softened distribution.
        temperature: that both distributions are softened by.
    """

    labels: float = 1.0
    soft: float = 1.0
    temperature: float = 2.0


def softened_divergence(logits: torch.Tensor, teacher_log_probs: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL(teacher || student) in nats per line, summed over time steps, times the temperature squared.

    The square keeps the size of the gradients independent of the temperature
    (Hinton et al., 2015, section 2). Both arguments are (B, 50, C).
    """
    student = (logits / temperature).log_softmax(-1)
    teacher = (teacher_log_probs / temperature).log_softmax(-1)
    divergence = torch.nn.functional.kl_div(student, teacher, reduction="none", log_target=True)
    return divergence.sum((1, 2)).mean() * temperature**2


def answers_of(teacher: Path, corpus: Corpus, schedule: Schedule, folder: Path, views: int) -> SoftTargets:
    """What a model's file answers for so many views of the training split, computed once and kept in ``folder``."""
    answer = TorchLearner(torch_crnn.load(teacher), schedule).log_probs
    return SoftTargets(teacher, answer, corpus, schedule, folder, views)


class TorchDistiller(TorchLearner):
    """Its batches are ``SoftBatch``."""

    def __init__(self, start: CRNNConfig | CRNN, schedule: Schedule, weighting: Weighting) -> None:
        """As ``TorchLearner``, with the weights of the loss."""
        super().__init__(start, schedule)
        self._weighting = weighting

    def loss(self, batch: SoftBatch) -> torch.Tensor:
        """The loss of one batch in nats per line, for gradients without an update."""
        return self._batch_loss(self._logits(batch.images, batch.field), batch)

    def _batch_loss(self, logits: torch.Tensor, batch: SoftBatch) -> torch.Tensor:  # type: ignore[override]
        given = self._weighting
        loss = logits.new_zeros(())
        if given.labels:
            loss = loss + given.labels * super()._batch_loss(logits, batch)  # type: ignore[arg-type]
        if given.soft:
            teacher = torch.from_numpy(restore(batch.teacher_classes, batch.teacher_log_probs, logits.shape[-1]))
            loss = loss + given.soft * softened_divergence(logits, teacher, given.temperature)
        return loss
