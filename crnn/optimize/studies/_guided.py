"""Training with guidance: a part that is not shipped gives the student's features a second loss."""

import torch
from torch import Tensor, nn

from crnn.models.conv_config import ConvConfig
from crnn.models.torch_crnn import CRNN
from crnn.text import BLANK
from crnn.training.batches import Batch
from crnn.training.loop import Schedule
from crnn.training.torch_learner import TorchLearner


class _GuidedLearner(TorchLearner):
    """Learner on the CTC loss and on the loss of a guide, which reads the student's features (B, F, 1, T)."""

    def __init__(self, config: ConvConfig, schedule: Schedule, guide: nn.Module) -> None:
        super().__init__(config, schedule)
        self._guide = guide
        self._optimizer.add_param_group({"params": list(guide.parameters())})
        self.model.classifier.register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, inputs: tuple[Tensor]) -> None:
        # In bfloat16, where the student computes in it.
        self._features = inputs[0].float()


class MatchingLearner(_GuidedLearner):
    """The features, through a 1x1 convolution, match what the original's LSTMs read.

    Ding, Chen and Huo, 2019, "Compressing CNN-DBLSTM models for OCR with teacher-student learning and Tucker
    decomposition".
    """

    def __init__(self, config: ConvConfig, schedule: Schedule, teacher: CRNN) -> None:
        """Initialize the student and the projection; the teacher runs along."""
        torch.manual_seed(schedule.seed)
        super().__init__(config, schedule, nn.Conv2d(config.features, teacher.config.channels[-1], 1))
        self._teacher = teacher.eval().requires_grad_(requires_grad=False)

    def _batch_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        # (B, H, W) -> (B, 1, H, W)
        pixels = torch.from_numpy(batch.images).unsqueeze(1).to(memory_format=torch.channels_last)
        wanted = self._teacher.blocks(pixels)  # (B, F, 1, T)
        distance = nn.functional.mse_loss(self._guide(self._features), wanted)
        # Per line like the CTC loss: mean over features, sum over time steps.
        return super()._batch_loss(logits, batch) + wanted.shape[-1] * distance


class _Decoder(nn.Module):
    """Transformer decoder of one layer: features (B, F, 1, T), classes (B, L) -> logits (B, L + 1, C).

    The blank, which no label has, starts and ends a label.
    """

    def __init__(self, config: ConvConfig, width: int = 128) -> None:
        super().__init__()
        self.memory = nn.Linear(config.features, width)
        self.characters = nn.Embedding(config.classes, width)
        self.places = nn.Embedding(config.time_steps + 1, width)
        self.layer = nn.TransformerDecoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True)
        self.classifier = nn.Linear(width, config.classes)

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        # (B, F, 1, T) -> (B, F, T) -> (B, T, F)
        columns = self.memory(features.squeeze(2).transpose(1, 2))
        memory = columns + self.places.weight[: columns.shape[1]]
        before = nn.functional.pad(classes, (1, 0), value=BLANK)  # (B, L) -> (B, L + 1)
        wanted = self.characters(before) + self.places.weight[: before.shape[1]]
        later = nn.Transformer.generate_square_subsequent_mask(before.shape[1])
        return self.classifier(self.layer(wanted, memory, tgt_mask=later, tgt_is_causal=True))


class AttentionLearner(_GuidedLearner):
    """A decoder with attention reads the features too, and learns to write the label.

    Hu et al., 2020, "GTC: Guided training of CTC", arXiv:2002.01276.
    """

    def __init__(self, config: ConvConfig, schedule: Schedule) -> None:
        """Initialize the student and the decoder."""
        torch.manual_seed(schedule.seed)
        super().__init__(config, schedule, _Decoder(config))

    def _batch_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        classes = torch.from_numpy(batch.classes).long()
        written = self._guide(self._features, classes)  # (B, L + 1, C)
        after = nn.functional.pad(classes, (0, 1), value=BLANK)  # (B, L) -> (B, L + 1)
        # Up to and with the first blank behind the label.
        counts = torch.arange(after.shape[1]) <= torch.from_numpy(batch.lengths).long().unsqueeze(1)
        losses = nn.functional.cross_entropy(written.transpose(1, 2), after, reduction="none")  # (B, L + 1)
        # Per line like the CTC loss.
        return super()._batch_loss(logits, batch) + (losses * counts).sum(1).mean()
