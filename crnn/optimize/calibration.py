"""Calibration lines: model inputs that set the scales of activations."""

import numpy as np

from crnn.corpus.lines import Lines, model_inputs
from crnn.optimize.recipe import RecipeError


def inputs_of(lines: Lines, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs for ``count`` evenly spaced lines: images (N, 32, 400) and field (N, 50, 2).

    Raises:
        RecipeError: ``count`` is below 1, or the split is empty.
    """
    count = min(count, len(lines))
    if count < 1:
        raise RecipeError(f"calibration needs at least one line, got {count}")
    rows = np.linspace(0, len(lines) - 1, count).astype(int)
    return model_inputs(lines.images[rows], lines.kinds[rows])
