"""Parameters, their deflated bytes and MACs of a file, and MACs of the layers that all formats share.

Convolutions, LSTM gates and linear layers count; element-wise work does not.
"""

import importlib
import importlib.util
import inspect
import itertools
import zlib
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from crnn.interface import BUILT_IN, Interface
from crnn.models.config import CRNNConfig


class Counts(NamedTuple):
    """Parameters, their deflated bytes and MACs of a file.

    Attributes:
        parameters_stored: parameters that the file stores, as its framework counts.
        parameters_nonzero: those that are not zero.
        deflated_weights_bytes: bytes of these parameters, in the type that the file stores and
            clustered ones expanded, each tensor deflated. Without container, graph
            and packing, so that files of all formats compare.
        macs_per_line: multiply-accumulate operations for one line.
    """

    parameters_stored: int
    parameters_nonzero: int
    deflated_weights_bytes: int
    macs_per_line: int


def format_module(name: str) -> ModuleType:
    """The module of a format: ``crnn/formats/NAME_file.py``, or a module of your own of that name.

    Args:
        name: such as ``onnx``, the file's suffix without the dot.

    Raises:
        LookupError: there is no such module.
    """
    own = f"crnn.formats.{name}_file"
    if "." not in name and importlib.util.find_spec(own) is not None:
        return importlib.import_module(own)
    if importlib.util.find_spec(name) is None:
        raise LookupError(f"no format {name!r}: there is no module {own} or {name}")
    return importlib.import_module(name)


def count(path: Path, format_name: str, interface: Interface = BUILT_IN) -> Counts:
    """Count the parameters, their deflated bytes and the MACs of a file; this imports the format's framework.

    Args:
        path: the file.
        format_name: see ``format_module``.
        interface: of the model, for formats whose files leave sizes open.

    Raises:
        LookupError: there is no such format.
    """
    module = format_module(format_name)
    stored = nonzero = deflated = 0
    for array in module.parameters(path):
        stored += array.size
        nonzero += int(np.count_nonzero(array))
        deflated += len(zlib.compress(array.tobytes()))
    sized = "interface" in inspect.signature(module.macs).parameters
    macs = module.macs(path, interface) if sized else module.macs(path)
    return Counts(stored, nonzero, deflated, macs)


def lstm_macs(steps: int, inputs: int, units: int) -> int:
    """MACs of one LSTM layer for one line: four gates, each fed by the input and by the hidden state."""
    return steps * 4 * units * (inputs + units)


def macs_of_config(config: CRNNConfig) -> int:
    """MACs of a CRNN for one line, from its config."""
    total, height, width = 0, config.height, config.width
    for (inputs, outputs), pool in zip(itertools.pairwise((1, *config.channels)), config.pools, strict=True):
        total += height * width * 9 * inputs * outputs
        height, width = height // pool[0], width // pool[1]
    features = (config.channels[-1] + config.field_features, *config.lstm_units)
    for inputs, units in itertools.pairwise(features):
        total += lstm_macs(config.time_steps, inputs, units)
    return total + config.time_steps * features[-1] * config.classes
