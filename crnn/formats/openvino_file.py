"""``.openvino`` files: read, write, count parameters and MACs.

OpenVINO's own format is two files, ``model.xml`` and ``model.bin``. They are shipped as one: a ZIP
archive of both, in which the graph is deflated and the weights are not. ``unzip`` gives what OpenVINO's tools read.

OpenVINO and NNCF send usage data to their maker unless ``openvino_telemetry`` is missing or switched off
for the user. Importing this module before them makes it missing for this process: nothing is sent.
"""

import re
import sys
import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from crnn.formats.counts import lstm_macs
from crnn.formats.ends import Ends, Tensor
from crnn.interface import BUILT_IN, Interface

# An import of it fails from now on.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino  # noqa: E402

# The graph of a small model takes a sixth of the file as text. Weights hardly shrink.
_COMPRESSION = {"model.xml": zipfile.ZIP_DEFLATED, "model.bin": zipfile.ZIP_STORED}
_MEMBERS = tuple(_COMPRESSION)
# Shapes, axes and switches are not parameters.
_PARAMETERS = (np.float32, np.float16, np.int8, np.uint8)


def write(model: openvino.Model, path: Path) -> None:
    """Save a model. Weights keep their type; equal models give equal files."""
    for index, node in enumerate(model.get_ordered_ops()):
        # OpenVINO names a node that has no name by its first type and the number of nodes that this process has made.
        if re.fullmatch(r"[A-Z][A-Za-z]*_\d+", node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{index}")
    with TemporaryDirectory() as folder:
        openvino.serialize(model, str(Path(folder, "model.xml")))
        with zipfile.ZipFile(path, "w") as archive:
            for name, compression in _COMPRESSION.items():
                # A ZipInfo has no time of its own.
                archive.writestr(zipfile.ZipInfo(name), Path(folder, name).read_bytes(), compression)


def read(path: Path, core: openvino.Core | None = None) -> openvino.Model:
    """The model of a file.

    Args:
        path: the file.
        core: reads it; None for a new one.

    Raises:
        ValueError: it is not such a file, or it is truncated; the message names it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content, weights = (archive.read(name) for name in _MEMBERS)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ValueError(f"{path} is not a ZIP archive of {' and '.join(_MEMBERS)}: {error}") from None
    try:
        return (core or openvino.Core()).read_model(content, weights)
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read by OpenVINO {openvino.__version__}: {error}") from None


def ends(path: Path) -> Ends:
    """Inputs and outputs of OpenVINO's own ``.xml`` file, with its ``.bin`` beside it.

    Raises:
        ValueError: OpenVINO cannot read it.
    """
    try:
        model = openvino.Core().read_model(path)
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read by OpenVINO {openvino.__version__}: {error}") from None
    return Ends([_tensor(one) for one in model.inputs], [_tensor(one) for one in model.outputs])


def _tensor(end: openvino.Output) -> Tensor:
    shape = tuple(0 if size.is_dynamic else size.get_length() for size in end.get_partial_shape())
    name = end.any_name if end.names else end.get_node().get_friendly_name()
    return Tensor(name, shape, end.get_element_type().to_dtype().name)


def parameters(path: Path) -> Iterator[np.ndarray]:
    """The tensors that the file stores, quantized ones and their scales too; scalars are not parameters."""
    for node in read(path).get_ops():
        if node.get_type_name() == "Constant" and prod(node.shape) > 1:
            values = node.data
            if values.dtype in _PARAMETERS:
                yield values


def macs(path: Path, interface: Interface = BUILT_IN) -> int:
    """MACs for one line, from the shapes of the model at batch 1."""
    model = read(path)
    model.reshape({name: list(shape) for name, shape in interface.shapes(1).items()})
    total = 0
    for node in model.get_ops():
        shapes = [tuple(value.get_shape()) for value in node.input_values()]
        match node.get_type_name():
            case "Convolution":  # weights (O, I, H, W)
                total += prod(node.output(0).get_shape()) * prod(shapes[1][1:])
            case "GroupConvolution":  # weights (G, O / G, I / G, H, W)
                total += prod(node.output(0).get_shape()) * prod(shapes[1][2:])
            case "LSTMSequence":  # X (B, T, I), W (directions, 4H, I)
                weights = shapes[4]
                total += weights[0] * lstm_macs(shapes[0][1], shapes[0][2], weights[1] // 4)
            case "MatMul":
                total += prod(shapes[0]) * node.output(0).get_shape()[-1]
    return total
