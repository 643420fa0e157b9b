"""Quantization-aware training of a PyTorch model whose quantizers NNCF has inserted.

Rounding is passed through backwards (Jacob et al., 2018, arXiv:1712.05877), and the quantizers' ranges are trained
with the weights (Esser et al., 2020, arXiv:1902.08153).
"""

from torch import nn

from crnn.training.torch_distiller import TorchDistiller


class Int8Learner(TorchDistiller):
    """Learner whose BatchNorm layers keep their statistics: deployed, they are part of the scales."""

    def _train_mode(self) -> None:
        super()._train_mode()
        for layer in self.model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
