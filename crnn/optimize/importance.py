"""Importance criteria: they rank the channels and hidden units of a PyTorch CRNN."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from crnn.models.torch_crnn import CRNN
from crnn.optimize.torch_channels import Group, groups, unit_slices

Loss = Callable[[Any], Tensor]
"""The loss of one training batch, with gradients."""


def _filters(model: CRNN, group: Group) -> Tensor:
    """The weights that compute each unit, (U, weights per unit), without BatchNorm."""
    return torch.cat([slices.detach() for name, slices in unit_slices(model, group, True) if ".norm." not in name], 1)


def l1_norm(model: CRNN, group: Group) -> Tensor:
    """Sum of the absolute weights of each unit, (U,) (Li et al., 2017, arXiv:1608.08710)."""
    return _filters(model, group).abs().sum(1)


def geometric_median(model: CRNN, group: Group) -> Tensor:
    """Summed distance of each unit's weights to all others, (U,) (He et al., 2019, arXiv:1811.00250).

    A unit close to the others is redundant.
    """
    filters = _filters(model, group)
    return torch.cdist(filters, filters).sum(1)


def batch_norm_scale(model: CRNN, group: Group) -> Tensor:
    """BatchNorm scale of each channel, (U,) (Liu et al., 2017, arXiv:1708.06519); for LSTMs the L1 norm."""
    scales = [slices.detach() for name, slices in unit_slices(model, group, True) if name.endswith("norm.weight")]
    return scales[0].abs().sum(1) if scales else l1_norm(model, group)


def taylor(model: CRNN, loss: Loss, batches: Iterable[object]) -> list[Tensor]:
    """First-order estimate of the change in loss when a unit is removed: squared, averaged over batches.

    The estimate is the gradient of a gate of 1 on the unit's output, which is the sum of weight x
    gradient over all weights that read the unit (Molchanov et al., 2019, arXiv:1906.10771).
    """
    found = groups(model)
    scores = [torch.zeros(group.units) for group in found]
    count = 0
    for batch in batches:
        model.zero_grad()
        loss(batch).backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        changes = [_gate_gradient(model, group, gradients) ** 2 for group in found]
        scores = [score + change for score, change in zip(scores, changes, strict=True)]
        count += 1
    model.zero_grad()
    return [score / count for score in scores]


def _gate_gradient(model: CRNN, group: Group, gradients: dict[str, Tensor | None]) -> Tensor:
    total = torch.zeros(group.units)
    for part in group.parts:
        gradient = gradients.get(part.tensor)
        if not part.produces and gradient is not None:
            weight = model.get_parameter(part.tensor).detach()
            product = (weight * gradient).movedim(part.dimension, 0)[: group.units]
            total += product.flatten(1).sum(1)
    return total


_WEIGHT_CRITERIA = {"l1": l1_norm, "geometric-median": geometric_median, "batch-norm-scale": batch_norm_scale}
CRITERIA = (*_WEIGHT_CRITERIA, "taylor")


def importance(model: CRNN, criterion: str, loss: Loss, batches: Iterable[object]) -> list[Tensor]:
    """Scores of all units, comparable across layers: one tensor (U,) per group.

    Norms of layers with different shapes are not comparable, so each is divided by its layer's
    mean. Taylor estimates need no scaling: all are changes of the same loss.

    Raises:
        LookupError: there is no such criterion; the message lists them.
    """
    if criterion == "taylor":
        return taylor(model, loss, batches)
    if criterion not in _WEIGHT_CRITERIA:
        raise LookupError(f"no criterion {criterion!r}; there are: {', '.join(CRITERIA)}")
    scores = [_WEIGHT_CRITERIA[criterion](model, group) for group in groups(model)]
    return [score / score.mean() for score in scores]
