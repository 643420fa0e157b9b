"""Files of Tesseract's languages (``.traineddata``): read, count parameters.

A file is a list of components behind a table of their offsets (``tessdatamanager.h`` of Tesseract). The network is one
of them; its header says how many weights it has, one byte each in the ``fast`` files and eight in the ``best`` ones.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

# Where systems keep the files of languages; Tesseract itself reads the variable.
_VARIABLE, _PLACES = "TESSDATA_PREFIX", ("/usr/share", "/usr/local/share", "/opt/homebrew/share")
_LSTM = 17
# Behind the name of a network's type: two bytes, flags, inputs, outputs, and its number of weights.
_HEADER = struct.Struct("<bbiiii")


def _folders() -> Iterator[Path]:
    if given := os.environ.get(_VARIABLE):
        yield Path(given)
    for place in _PLACES:
        yield Path(place, "tessdata")
        yield from sorted(Path(place).glob("tesseract-ocr/*/tessdata"), reverse=True)


def installed(language: str) -> Path | None:
    """The installed file of a language, such as ``rus``, or with ``*`` of any; None if there is none."""
    found = (path for folder in _folders() for path in sorted(folder.glob(f"{language}.traineddata")))
    return next(found, None)


def network(path: Path) -> bytes:
    """The component that holds the network.

    Raises:
        ValueError: the file is no ``.traineddata``, is truncated, or has no network.
    """
    content = path.read_bytes()
    try:
        (count,) = struct.unpack_from("<i", content)
        offsets = struct.unpack_from(f"<{count}q", content, 4)
    except struct.error:
        raise ValueError(f"{path} is no .traineddata of Tesseract, or is truncated") from None
    if count <= _LSTM or offsets[_LSTM] < 0:
        raise ValueError(f"{path} holds no LSTM network: take a file of Tesseract 4 or later")
    ends = [offset for offset in (*offsets, len(content)) if offset > offsets[_LSTM]]
    return content[offsets[_LSTM] : min(ends)]


def weights(component: bytes) -> int:
    """The number of weights of a network, of its header.

    Raises:
        ValueError: it is truncated.
    """
    try:
        (length,) = struct.unpack_from("<I", component, 1)
        return _HEADER.unpack_from(component, 5 + length)[-1]
    except struct.error:
        raise ValueError("the network of a .traineddata is truncated") from None


def parameters(path: Path) -> Iterator[np.ndarray]:
    """The network as it is stored, a byte or eight per weight, cut to the number of its weights; errors as above."""
    component = network(path)
    count = weights(component)
    wide = len(component) // count >= np.dtype(np.float64).itemsize
    stored = np.frombuffer(component, np.uint8)
    if wide:
        stored = stored[: count * 8].view(np.float64)
    yield stored[:count]


def macs(_: Path) -> int:
    """0: the width of Tesseract's input follows the line, so there is no number for all lines."""
    return 0
