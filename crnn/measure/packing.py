"""Arrays in JSON: deflated, in base64, prefixed with their type."""

import base64
import binascii
import zlib

import numpy as np


def pack(array: np.ndarray) -> str:
    """A flat array as text, such as ``uint8:eNpjYGAA...``."""
    return f"{array.dtype}:{base64.b64encode(zlib.compress(array.tobytes(), 9)).decode('ascii')}"


def unpack(text: str) -> np.ndarray:
    """The inverse of ``pack``.

    Raises:
        ValueError: the text is not an output of ``pack``.
    """
    kind, _, content = text.partition(":")
    try:
        return np.frombuffer(zlib.decompress(base64.b64decode(content, validate=True)), np.dtype(kind))
    except (TypeError, binascii.Error, zlib.error) as error:
        raise ValueError(f"an array that cannot be read: {error}") from None
