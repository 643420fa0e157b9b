"""``.keras`` files: read, write, compress, count parameters and MACs."""

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from crnn.formats.counts import lstm_macs
from crnn.formats.ends import Ends, Tensor
from crnn.models.keras_crnn import keras

_COUNTED = ("Conv2D", "Dense", "LSTM")


def save(model: keras.Model, path: Path) -> None:
    """Write architecture and weights; a model that was never compiled has no optimizer state."""
    model.save(path, save_format="keras")


def rounded(weights: np.ndarray) -> np.ndarray:
    """Round float32 values to float16's eleven significant bits, in float32's range."""
    # Add half of the last kept bit, then clear the 13 bits below it.
    return ((weights.view(np.uint32) + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32)


def save_compressed(model: keras.Model, path: Path) -> None:
    """Save with weights rounded to eleven bits and the archive compressed; Keras reads it like any other.

    Repeated values, zeros above all, and the cleared bits of the others compress well.
    """
    model.set_weights([rounded(weights) for weights in model.get_weights()])
    save(model, path)
    pack(path)


def pack(path: Path) -> None:
    """Compress a ``.keras`` archive in place with LZMA."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def load(path: Path) -> keras.Model:
    """Read what ``save`` wrote. Files with Lambda layers are refused, because they contain code.

    Raises:
        ValueError: the file is not a ``.keras`` archive, is damaged or has a Lambda layer.
    """
    # Keras reads other files, such as HDF5, with older code that ignores safe_mode and runs Lambda layers.
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not a model that Keras reads: no .keras archive; save it in the .keras format")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, TypeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a model that Keras reads: {error}") from error


def load_any(path: Path) -> Any:
    """A user's model, of Keras 2 or 3; see ``load``.

    Raises:
        ValueError: see ``load``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            version = json.loads(archive.read("metadata.json"))["keras_version"]
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: no .keras archive: {error}") from None
    if version.startswith("2."):
        return load(path)
    import keras as keras3

    try:
        return keras3.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: not a model that Keras {keras3.__version__} reads: {error}") from error


def ends(path: Path) -> Ends:
    """Inputs and outputs of a user's file.

    Raises:
        ValueError: Keras cannot read it.
    """
    return ends_of(load_any(path))


def ends_of(model: Any) -> Ends:
    """Inputs and outputs of a model of Keras 2 or 3."""
    return Ends([_end(tensor) for tensor in model.inputs], [_end(tensor) for tensor in model.outputs])


def _end(tensor: Any) -> Tensor:
    dtype = tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.name
    return Tensor(tensor.name, tuple(size or 0 for size in tensor.shape), dtype)


def called(model: Any, inputs: Sequence[Any]) -> Any:
    """The output of a model of Keras 2 or 3; the inputs in the order of ``ends``."""
    return model(list(inputs) if len(inputs) > 1 else inputs[0], training=False)


def parameters(path: Path) -> Iterator[np.ndarray]:
    """All weights, with the BatchNorm statistics, as Keras counts; without the state of an optimizer."""
    found: list[np.ndarray] = []

    def take(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and name.startswith("layers/"):
            found.append(item[()])

    # Read from the file: building the model would take seconds.
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
        weights.visititems(take)
    return iter(found)


def macs(path: Path) -> int:
    """MACs for one line, from the layers' shapes."""
    with zipfile.ZipFile(path) as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    counted = [layer for layer in layers if layer["class_name"] in _COUNTED]
    return sum(_macs(layer["class_name"], layer["config"], layer["build_config"]["input_shape"]) for layer in counted)


def _macs(kind: str, config: dict[str, Any], shape: list[int]) -> int:
    """MACs of one layer, from its input's shape; the first entry is the batch."""
    if kind == "LSTM":
        return lstm_macs(shape[1], shape[2], config["units"])
    if kind == "Dense":
        return prod(shape[1:]) * config["units"]
    places = 1
    for size, kernel, stride, dilation in zip(
        shape[1:3], config["kernel_size"], config["strides"], config["dilation_rate"], strict=True
    ):
        covered = 0 if config["padding"] == "same" else dilation * (kernel - 1)
        places *= -(-(size - covered) // stride)
    return places * config["filters"] * prod(config["kernel_size"]) * shape[3] // config["groups"]
