"""Every form of a PyTorch artifact: which one a file holds, and what it takes to run and to count it."""

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from crnn.models import torch_crnn
from crnn.models.torch_crnn import CRNN


def load(path: Path) -> CRNN:
    """The model of an artifact, quantized if the artifact is, in evaluation mode.

    Raises:
        pickle.UnpicklingError: the file holds anything but tensors and plain values.
    """
    content = torch_crnn.read(path)
    if "int8" in content:
        from crnn.formats import torch_int8

        return torch_int8.from_content(content)
    if "qdq_inputs" in content:
        from crnn.formats import torch_qdq

        return torch_qdq.from_content(content)
    return torch_crnn.from_content(content)


def parameters(path: Path) -> Iterator[Tensor]:
    """The weights that an artifact stores, int8 ones as such and clustered ones one by one.

    As in ``Module.parameters``, BatchNorm's statistics are none; nor are scales.
    """
    content = torch_crnn.read(path)
    if "int8" in content:
        yield from (part["values"] for part in content["int8"].values())
    weights = torch_crnn.from_content(content).state_dict() if "clustered" in content else content["weights"]
    for name, tensor in weights.items():
        if name.rsplit(".", 1)[-1] not in ("running_mean", "running_var", "num_batches_tracked", "weight_scale"):
            yield tensor
