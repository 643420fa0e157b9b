"""Train a PyTorch CRNN with clustered weights: the centroids are trained, the assignment is fixed."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from crnn.formats import codebook
from crnn.models.torch_crnn import CRNN
from crnn.training.loop import Schedule
from crnn.training.torch_learner import TorchLearner


def clustered_names(model: CRNN) -> list[str]:
    """List the tensors to cluster: matrices and filters. Biases and BatchNorm are small and are left out."""
    return [name for name, parameter in model.named_parameters() if parameter.dim() > 1]


class TorchClusterer(TorchLearner):
    """Learner of centroids; a centroid's gradient is the sum over its weights (Han et al., 2016, section 3.3)."""

    def __init__(self, start: CRNN, schedule: Schedule, clusters: int) -> None:
        """Cluster each tensor of the model by k-means, into ``clusters`` centroids.

        Raises:
            ValueError: a tensor has fewer weights than clusters.
        """
        super().__init__(start, schedule)
        tensors = dict(self.model.named_parameters())
        self._indices: dict[str, torch.Tensor] = {}
        self._centroids: dict[str, nn.Parameter] = {}
        for name in clustered_names(self.model):
            values = tensors[name].detach().numpy()
            try:
                centroids = codebook.k_means(values, clusters)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            self._indices[name] = torch.from_numpy(codebook.nearest(values, centroids))
            self._centroids[name] = nn.Parameter(torch.from_numpy(centroids))
        self._share()
        others = [parameter for name, parameter in tensors.items() if name not in self._centroids]
        # No weight decay: it would pull centroids, not weights, towards zero.
        self._optimizer = torch.optim.AdamW([*self._centroids.values(), *others], weight_decay=0)

    @torch.no_grad()
    def _share(self) -> None:
        """Set each weight to its centroid's value."""
        for name, centroids in self._centroids.items():
            self.model.get_parameter(name).copy_(centroids[self._indices[name]])

    def _update(self) -> None:
        for name, centroids in self._centroids.items():
            weight = self.model.get_parameter(name)
            gradient = torch.zeros_like(centroids)
            if weight.grad is not None:
                gradient.index_add_(0, self._indices[name].flatten(), weight.grad.flatten())
            centroids.grad, weight.grad = gradient, None
        super()._update()
        self._share()

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Set what ``state`` returned; the centroids are read from the weights."""
        super().restore(state)
        for name, centroids in self._centroids.items():
            flat, indices = self.model.get_parameter(name).detach().flatten(), self._indices[name].flatten()
            with torch.no_grad():
                centroids.index_copy_(0, indices, flat)
