"""PyTorch programs of a user: ``torch.export`` packages and TorchScript; read, count parameters and MACs.

Both are ZIP archives. TorchScript is read by an unpickler of its own, which executes nothing. ``torch.export.load``
does execute pickles; here it reads with ``weights_only``, and packages that hold objects are refused.
"""

import io
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from crnn.formats.ends import Ends, Tensor
from crnn.interface import Interface

# Members of a package that are pickled objects, not tensors.
_OBJECTS = ("custom_obj_", "opaque_obj_")
_FLOPS_PER_MAC = 2


def exported(path: Path) -> torch.export.ExportedProgram:
    """The program of a ``torch.export`` package; executes none of its pickles.

    Raises:
        ValueError: it is not such a package, or it holds objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            objects = [name for name in archive.namelist() if Path(name).name.startswith(_OBJECTS)]
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is truncated, or no package of torch.export: {error}") from None
    if objects:
        raise ValueError(
            f"{path} holds pickled objects ({objects[0]}), which are not read; export a model without them"
        )
    # It falls back to executing pickles where reading tensors fails.
    with mock.patch.object(torch, "load", _tensors_only):
        try:
            return torch.export.load(path)
        except pickle.UnpicklingError as error:
            raise ValueError(f"{path} holds a pickle that is no tensor, which is not read: {error}") from None


_load = torch.load


def _tensors_only(file: io.BytesIO, **given: Any) -> Any:
    return _load(file, **given | {"weights_only": True})


def module(path: Path) -> torch.nn.Module:
    """The model of a file, for inference.

    Raises:
        ValueError: it cannot be read.
    """
    if path.suffix != ".pt2":
        with warnings.catch_warnings():
            # PyTorch advises to export the model again, which only its owner can.
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(str(path), map_location="cpu").eval()
    return exported(path).module()


def ends(path: Path) -> Ends:
    """Inputs and outputs; TorchScript does not tell its sizes.

    Raises:
        ValueError: it cannot be read.
    """
    if path.suffix != ".pt2":
        names = [argument.name for argument in module(path).forward.schema.arguments[1:]]
        return Ends([Tensor(name, (), "float32") for name in names], [Tensor("output", (), "float32")])
    program = exported(path)
    nodes = {node.name: node.meta.get("val") for node in program.graph.nodes}
    signature = program.graph_signature
    inputs = [_tensor(name, nodes[name]) for name in signature.user_inputs]
    return Ends(inputs, [_tensor(name, nodes[name]) for name in signature.user_outputs])


def _tensor(name: str, value: torch.Tensor) -> Tensor:
    shape = tuple(size if isinstance(size, int) else 0 for size in value.shape)
    return Tensor(name, shape, str(value.dtype).removeprefix("torch."))


def parameters(path: Path) -> Iterator[np.ndarray]:
    """The parameters, as PyTorch counts: no buffers."""
    for tensor in module(path).parameters():
        yield tensor.detach().numpy()


def macs(path: Path, interface: Interface) -> int:
    """MACs for one line, counted while the model runs."""
    model, counter = module(path), FlopCounterMode(display=False)
    line = [torch.zeros(shape) for shape in interface.shapes(1).values()]
    # oneDNN's LSTM is one operator that the counter does not know; without it, matrix products are left.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # switching it off warns of GPUs that are not there
        with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), counter:
            model(*line)
    return counter.get_total_flops() // _FLOPS_PER_MAC
