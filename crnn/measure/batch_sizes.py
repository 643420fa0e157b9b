"""Artifacts that hold a graph per batch size, built for the sizes that a study asks for."""

from collections.abc import Sequence
from pathlib import Path

_SUFFIX = ".tflite"


def built_for(artifact: Path, sizes: Sequence[int], folder: Path) -> Path:
    """The artifact, or where its format holds a graph per batch size, a copy with one for each of these sizes.

    Args:
        artifact: the row's own, which stays as it is.
        sizes: lines per call.
        folder: for the copy.
    """
    if artifact.suffix != _SUFFIX:
        return artifact
    from crnn.formats import tflite_file

    copy = folder / artifact.name
    copy.write_bytes(tflite_file.for_sizes(artifact.read_bytes(), sizes))
    return copy
