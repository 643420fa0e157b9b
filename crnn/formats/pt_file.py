"""``.pt`` files of the PyTorch models: float, with codebooks, int8 (dynamic) and QDQ (static).

No file contains pickled code: each holds a config, tensors and plain values.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crnn.formats import codebook, counts
from crnn.models.config import CRNNConfig
from crnn.models.conv_config import ConvConfig
from crnn.models.torch_conv import ConvRecognizer
from crnn.models.torch_crnn import CRNN

Model = CRNN | ConvRecognizer

# Stored, but not parameters: BatchNorm statistics, which PyTorch does not count, and scales of quantized weights.
_NOT_PARAMETERS = ("running_mean", "running_var", "num_batches_tracked", "weight_scale")


def save(model: Model, path: Path) -> None:
    """Write config and weights."""
    torch.save({"config": model.config.to_json(), "weights": model.state_dict()}, path)


def save_clustered(model: CRNN, path: Path) -> None:
    """Write matrices and filters as codebooks and packed indices; ``load`` reads the same weights."""
    weights = model.state_dict()
    shared = {name: codebook.encode(tensor.numpy()) for name, tensor in weights.items() if tensor.dim() > 1}
    plain = {name: tensor for name, tensor in weights.items() if name not in shared}
    clustered = {
        name: {
            "codebook": torch.from_numpy(part.codebook),
            "packed": torch.from_numpy(part.packed),
            "shape": part.shape,
        }
        for name, part in shared.items()
    }
    torch.save({"config": model.config.to_json(), "weights": plain, "clustered": clustered}, path)


def read(path: Path) -> dict[str, Any]:
    """The content of a file: config, tensors and plain values.

    Raises:
        pickle.UnpicklingError: the file holds anything else.
    """
    return torch.load(path, map_location="cpu", weights_only=True)


def load(path: Path) -> Model:
    """The model of a file, in evaluation mode; quantized if the file is.

    Raises:
        pickle.UnpicklingError: the file holds anything but tensors and plain values.
    """
    content = read(path)
    if "int8" in content:
        from crnn.formats import torch_int8

        return torch_int8.from_content(content)
    if "qdq_inputs" in content:
        from crnn.formats import torch_qdq

        return torch_qdq.from_content(content)
    model = _untrained(content["config"])
    model.load_state_dict(_float_weights(content))
    return model.eval()


def load_crnn(path: Path) -> CRNN:
    """The CRNN of a file, see ``load``, for techniques that change its layers.

    Raises:
        TypeError: the file holds another architecture.
    """
    if isinstance(model := load(path), CRNN):
        return model
    raise TypeError(f"{path} holds a {type(model).__name__}: only the CRNN's layers are known here")


def _is_convolutional(config: dict[str, Any]) -> bool:
    # Files of the CRNN name no architecture.
    return config.get("architecture") == ConvConfig.architecture


def _untrained(config: dict[str, Any]) -> Model:
    """A model of the architecture that a file's config describes."""
    if _is_convolutional(config):
        return ConvRecognizer(ConvConfig.from_json(config))
    return CRNN(CRNNConfig.from_json(config))


def _float_weights(content: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The state dict of a float model, with codebooks expanded."""
    weights = dict(content["weights"])
    for name, part in content.get("clustered", {}).items():
        stored = codebook.Clustered(part["codebook"].numpy(), part["packed"].numpy(), tuple(part["shape"]))
        weights[name] = torch.from_numpy(codebook.decode(stored))
    return weights


def parameters(path: Path) -> Iterator[np.ndarray]:
    """The weights that a file stores, in their types, clustered ones expanded; no statistics, no scales.

    NumPy has no bfloat16, so these weights come as int16 of the same bits.
    """
    content = read(path)
    if "int8" in content:
        yield from (part["values"].numpy() for part in content["int8"].values())
    for name, tensor in _float_weights(content).items():
        if name.rsplit(".", 1)[-1] not in _NOT_PARAMETERS:
            # Adding 0 turns -0, whose bits are not 0, into 0.
            yield ((tensor + 0).view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def macs(path: Path) -> int:
    """MACs for one line."""
    config = read(path)["config"]
    if _is_convolutional(config):
        return ConvConfig.from_json(config).macs
    return counts.macs_of_config(CRNNConfig.from_json(config))
