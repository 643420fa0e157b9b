"""Calibration lines: model inputs that set the scales of activations."""

from collections.abc import Iterator

import numpy as np

from crnn.corpus.lines import Lines, model_inputs
from crnn.interface import BUILT_IN, Interface
from crnn.optimize.recipe import RecipeError


def inputs_of(lines: Lines, count: int, interface: Interface | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Inputs for ``count`` evenly spaced lines: images (N, H, W) and field (N, T, 2).

    Args:
        lines: a split that is not measured.
        count: number of lines, at most.
        interface: of a user's model that reads them; None for a built-in one.

    Raises:
        RecipeError: ``count`` is below 1, or the split is empty.
    """
    count = min(count, len(lines))
    if count < 1:
        raise RecipeError(f"calibration needs at least one line, got {count}")
    rows = np.linspace(0, len(lines) - 1, count).astype(int)
    images, kinds = lines.at(interface.frame) if interface else (lines.images, lines.kinds)
    return model_inputs(images[rows], kinds[rows])


def batches(
    inputs: tuple[np.ndarray, np.ndarray], size: int, interface: Interface = BUILT_IN
) -> Iterator[dict[str, np.ndarray]]:
    """What a model is given for these lines, in batches.

    Args:
        inputs: as ``inputs_of`` returns them.
        size: lines per batch.
        interface: of the model.
    """
    images, field = inputs
    for start in range(0, len(images), size):
        yield interface.inputs(images[start : start + size], field[start : start + size])
