"""Train a PyTorch model; the Keras counterpart is ``keras_learner.py``."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from crnn.models.config import CRNNConfig
from crnn.models.conv_config import ConvConfig
from crnn.models.torch_conv import ConvRecognizer
from crnn.models.torch_crnn import CRNN
from crnn.text import BLANK
from crnn.training.batches import Batch
from crnn.training.loop import Schedule, State

Start = CRNNConfig | ConvConfig | CRNN | ConvRecognizer
"""What a learner starts from: a model, or the config of one that is initialized from the schedule's seed."""


class TorchLearner:
    """Learner with AdamW on the CTC loss; convolutions and LSTMs in bfloat16 autocast, channels last."""

    def __init__(self, start: Start, schedule: Schedule) -> None:
        """Continue with a model, or initialize one."""
        torch.manual_seed(schedule.seed)
        torch.use_deterministic_algorithms(True)
        # Filling uninitialized memory, which is never read here, would double the time of a step.
        torch.utils.deterministic.fill_uninitialized_memory = False
        match start:
            case CRNNConfig():
                start = CRNN(start)
            case ConvConfig():
                start = ConvRecognizer(start)
        self.model = start.to(memory_format=torch.channels_last)
        self._loss = nn.CTCLoss(BLANK, reduction="none", zero_infinity=True)
        # Without kernels of its own bfloat16 takes ten times as long as float32, and the LSTM fails.
        self._bfloat16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
        self._clip_norm = schedule.clip_norm
        self._optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=schedule.weight_decay)

    def _logits(self, images: np.ndarray, field: np.ndarray) -> torch.Tensor:
        # (B, H, W) -> (B, 1, H, W)
        pixels = torch.from_numpy(images).unsqueeze(1).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            logits = self.model(pixels, torch.from_numpy(field))
        return logits.float()

    def _batch_loss(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Compute a batch's mean loss in nats per line from logits float32 (B, T, C)."""
        steps = torch.full((len(logits),), logits.shape[1])
        return self._loss(
            logits.log_softmax(-1).transpose(0, 1),  # (B, T, C) -> (T, B, C)
            torch.from_numpy(batch.classes).long(),
            steps,
            torch.from_numpy(batch.lengths).long(),
        ).mean()

    def step(self, batch: Batch, learning_rate: float) -> float:
        """Update the weights once; return the batch's mean loss in nats per line."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._train_mode()
        self.model.zero_grad()
        loss = self._batch_loss(self._logits(batch.images, batch.field), batch)
        loss.backward()
        self._update()
        return loss.item()

    def _train_mode(self) -> None:
        """Layers that behave differently in training do so from now on."""
        self.model.train()

    def _update(self) -> None:
        """Clip the gradients and update the weights."""
        for group in self._optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], self._clip_norm)
        self._optimizer.step()

    @torch.inference_mode()
    def log_probs(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Compute log probabilities float32 (B, T, C) in evaluation mode."""
        self.model.eval()
        return self._logits(images, field).log_softmax(-1).numpy()

    def state(self) -> State:
        """Return weights and optimizer state as arrays, weights under ``weights/``."""
        weights = {f"weights/{name}": tensor.numpy().copy() for name, tensor in self.model.state_dict().items()}
        moments = {
            f"optimizer/{index}/{name}": tensor.numpy().copy()
            for index, entries in self._optimizer.state_dict()["state"].items()
            for name, tensor in entries.items()
        }
        return weights | moments

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Set what ``state`` returned; the optimizer's part may be absent."""
        tensors = {key: torch.from_numpy(np.array(value)) for key, value in state.items()}
        weights = {key.removeprefix("weights/"): tensors[key] for key in tensors if key.startswith("weights/")}
        self.model.load_state_dict(weights)
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            if key.startswith("optimizer/"):
                _, index, name = key.split("/")
                moments.setdefault(int(index), {})[name] = tensor
        if moments:
            groups = self._optimizer.state_dict()["param_groups"]
            self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
