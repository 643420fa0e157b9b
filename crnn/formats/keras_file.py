"""``.keras`` files: read, write, compress, count parameters and MACs."""

import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from crnn.formats.counts import lstm_macs
from crnn.models.keras_crnn import keras


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


def parameters(path: Path) -> Iterator[np.ndarray]:
    """All weights, with the BatchNorm statistics, as Keras counts."""
    return iter(load(path).get_weights())


def macs(path: Path) -> int:
    """MACs for one line."""
    return macs_of_model(load(path))


def macs_of_model(model: keras.Model) -> int:
    """MACs of a Keras model for one line, from its layers' shapes."""
    total = 0
    for layer in model.layers:
        match layer:
            case keras.layers.Conv2D():
                total += prod(layer.output_shape[1:]) * prod(layer.kernel_size) * layer.input_shape[-1]
            case keras.layers.Dense():
                total += prod(layer.output_shape[1:]) * layer.input_shape[-1]
            case keras.layers.LSTM():
                total += lstm_macs(layer.input_shape[1], layer.input_shape[2], layer.units)
    return total
