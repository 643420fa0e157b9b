"""Arrays in JSON: deflated, in base64, prefixed with their type; those that rows share are saved once."""

import base64
import binascii
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

_SESSION, _SHARED = "crnn", "shared"
_LONG = 200
"""Characters of the shortest text that is saved once."""


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


def _texts(run: Mapping[str, Any]) -> Iterator[str]:
    for entry in run["benchmarks"]:
        yield from (value for value in entry["extra_info"].values() if isinstance(value, str))


def _replaced(run: Mapping[str, Any], texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """The benchmarks with other texts in their ``extra_info``."""

    def one(value: Any) -> Any:
        return texts.get(value, value) if isinstance(value, str) else value

    return [
        {**entry, "extra_info": {name: one(value) for name, value in entry["extra_info"].items()}}
        for entry in run["benchmarks"]
    ]


def fold(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run with the arrays that several rows share saved once, under ``crnn.shared``.

    All rows read the same lines, so their characters per line are the same array.
    """
    counts = Counter(text for text in _texts(run) if len(text) >= _LONG)
    # A digest as the key: no other text of a row, such as its name, is taken for one.
    keys = {text: f"{_SHARED}:{sha256(text.encode()).hexdigest()[:16]}" for text in counts if counts[text] > 1}
    shared = {_SHARED: {key: text for text, key in keys.items()}} if keys else {}
    return {**run, "benchmarks": _replaced(run, keys), _SESSION: {**run.get(_SESSION, {}), **shared}}


def unfold(run: Any) -> Any:
    """The inverse of ``fold``; what was not folded is returned as it is, be it a run or not."""
    session = run.get(_SESSION) if isinstance(run, dict) else None
    if not isinstance(session, dict) or _SHARED not in session:
        return run
    rest = {name: value for name, value in session.items() if name != _SHARED}
    return {**run, "benchmarks": _replaced(run, session[_SHARED]), _SESSION: rest}


def saved(path: Path) -> Any:
    """Read a saved run, with all arrays in their places; any other JSON is returned as it is.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON.
    """
    return unfold(json.loads(path.read_text("utf-8")))
