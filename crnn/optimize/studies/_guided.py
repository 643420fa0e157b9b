"""Training with guidance: the student's features also match what the original's LSTMs read, through a projection.

Ding, Chen and Huo, 2019, "Compressing CNN-DBLSTM models for OCR with teacher-student learning and Tucker
decomposition".
"""

import torch
from torch import nn

from crnn.models.conv_config import ConvConfig
from crnn.models.torch_crnn import CRNN
from crnn.training.batches import Batch
from crnn.training.loop import Schedule
from crnn.training.torch_learner import TorchLearner


class GuidedLearner(TorchLearner):
    """Learner on the CTC loss and on the squared distance from the teacher's features; the teacher runs along."""

    def __init__(self, config: ConvConfig, schedule: Schedule, teacher: CRNN) -> None:
        """Initialize the student and a 1x1 convolution to the teacher's features, which is not part of the model."""
        super().__init__(config, schedule)
        self._teacher = teacher.eval().requires_grad_(requires_grad=False)
        self._projection = nn.Conv2d(config.features, teacher.config.channels[-1], 1)
        self._optimizer.add_param_group({"params": list(self._projection.parameters())})
        self.model.classifier.register_forward_pre_hook(self._keep)

    def _batch_loss(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        # (B, 32, 400) -> (B, 1, 32, 400)
        pixels = torch.from_numpy(batch.images).unsqueeze(1).to(memory_format=torch.channels_last)
        wanted = self._teacher.blocks(pixels)  # (B, F, 1, 50)
        distance = nn.functional.mse_loss(self._projection(self._features), wanted)
        # Per line like the CTC loss: mean over features, sum over time steps.
        return super()._batch_loss(logits, batch) + wanted.shape[-1] * distance

    def _keep(self, _: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        [self._features] = inputs
