"""Packing: a Keras model's own weights, rounded and compressed like those of the pruned and clustered rows.

Shows how much of those rows' smaller files is due to the packing alone.
"""

from typing import Any

from crnn.optimize.recipe import Build


def pack(build: Build) -> dict[str, Any]:
    """Round the parent's weights to eleven significant bits and compress its file with LZMA."""
    from crnn.formats import keras_file

    keras_file.save_compressed(keras_file.load(build.source), build.target)
    return {}
