"""Training batches in numpy, for both frameworks."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from crnn.corpus.lines import Lines, model_inputs
from crnn.text import encode

_SHIFT_ROWS, _SHIFT_COLUMNS = 2, 6


class Batch(NamedTuple):
    """One step's input to a learner.

    Attributes:
        images: float32 (B, H, W) in [0, 1].
        field: float32 (B, T, 2).
        classes: int32 (B, longest label), padded with the blank.
        lengths: int32 (B,), characters per label.
    """

    images: np.ndarray
    field: np.ndarray
    classes: np.ndarray
    lengths: np.ndarray


def augment(rng: np.random.Generator, images: np.ndarray) -> np.ndarray:
    """Shift each image by a few pixels, repeating its edges, and vary contrast and brightness.

    Args:
        rng: source of all variation.
        images: uint8 (B, H, W).

    Returns:
        uint8 (B, H, W).
    """
    count, (height, width) = len(images), images.shape[1:]
    down = rng.integers(-_SHIFT_ROWS, _SHIFT_ROWS + 1, count)
    right = rng.integers(-_SHIFT_COLUMNS, _SHIFT_COLUMNS + 1, count)
    rows = np.clip(np.arange(height) - down[:, None], 0, height - 1)  # (B, H)
    columns = np.clip(np.arange(width) - right[:, None], 0, width - 1)  # (B, W)
    moved = images[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    gain = rng.uniform(0.8, 1.2, (count, 1, 1)).astype(np.float32)
    offset = rng.uniform(-20, 20, (count, 1, 1)).astype(np.float32)
    return np.clip(moved * gain + offset, 0, 255).astype(np.uint8)


def training_batches(lines: Lines, alphabet: str, batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """Yield one epoch's batches, shuffled and augmented.

    They depend on seed and epoch only, so a resumed run gets the same batches.
    """
    rng = np.random.default_rng([seed, epoch])
    classes, lengths = encode(lines.labels, alphabet)
    order = rng.permutation(len(lines))
    # All batches have the same size, so a compiled step sees one shape; a small split wraps around.
    for start in range(0, max(len(order) - batch_size + 1, 1), batch_size):
        rows = np.take(order, range(start, start + batch_size), mode="wrap")
        inputs = model_inputs(augment(rng, lines.images[rows]), lines.kinds[rows])
        yield Batch(*inputs, classes[rows], lengths[rows])


def steps_per_epoch(lines: Lines, batch_size: int) -> int:
    """Count the batches that ``training_batches`` yields."""
    return max(len(lines) // batch_size, 1)
