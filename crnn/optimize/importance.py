"""How much a channel or a hidden unit matters: criteria that rank the units of a PyTorch CRNN."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from crnn.models.torch_crnn import CRNN
from crnn.optimize.torch_channels import Group, groups, unit_slices

Loss = Callable[[Any], Tensor]
"""The loss of one training batch, with gradients."""


def _filters(model: CRNN, group: Group) -> Tensor:
    """The weights that compute each unit, (units, anything), without BatchNorm."""
    return torch.cat([slices.detach() for name, slices in unit_slices(model, group, True) if ".norm." not in name], 1)


def l1_norm(model: CRNN, group: Group) -> Tensor:
    """Sum of absolute weights of each unit (Li et al., 2017, arXiv:1608.08710)."""
    return _filters(model, group).abs().sum(1)


def geometric_median(model: CRNN, group: Group) -> Tensor:
    """Distance of each unit's weights to all others: near ones can be replaced (He et al., 2019, arXiv:1811.00250)."""
    filters = _filters(model, group)
    return torch.cdist(filters, filters).sum(1)


def batch_norm_scale(model: CRNN, group: Group) -> Tensor:
    """BatchNorm's scale of each channel (Liu et al., 2017, arXiv:1708.06519); of LSTMs, without one, the L1 norm."""
    scales = [slices.detach() for name, slices in unit_slices(model, group, True) if name.endswith("norm.weight")]
    return scales[0].abs().sum(1) if scales else l1_norm(model, group)


def taylor(model: CRNN, loss: Loss, batches: Iterable[object]) -> list[Tensor]:
    """First-order estimate of what the loss changes by when a unit is removed, squared, mean over batches.

    A gate of one on the unit's output has as its gradient the sum of weight x gradient
    over all weights that read the unit (Molchanov et al., 2019, arXiv:1906.10771).
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
    """Scores of all units that compare across layers, one tensor a group.

    Norms of layers of different shape do not compare: they are divided by their layer's
    mean. Taylor's estimates are changes of the same loss as they are.

    Raises:
        LookupError: there is no such criterion; the message lists them.
    """
    if criterion == "taylor":
        return taylor(model, loss, batches)
    if criterion not in _WEIGHT_CRITERIA:
        raise LookupError(f"no criterion {criterion!r}; there are: {', '.join(CRITERIA)}")
    scores = [_WEIGHT_CRITERIA[criterion](model, group) for group in groups(model)]
    return [score / score.mean() for score in scores]
