"""Convert labels to class indices and back; what outputs hold; the one decoder and the one CER for all variants.

Class 0 is the CTC blank, class ``k`` is the alphabet's character ``k - 1``.
"""

import itertools
from collections.abc import Sequence

import numpy as np

BLANK = 0
LOG_PROBABILITIES, PROBABILITIES, LOGITS = "log probabilities", "probabilities", "logits"
VALUES = (LOG_PROBABILITIES, PROBABILITIES, LOGITS)
# How far a sum of probabilities may be off: half precision rounds each to 1e-3, and so do quantized models.
_ROUNDING = 0.02


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log probabilities over the last axis, float32."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def values_of(output: np.ndarray) -> str:
    """What an output with the classes on its last axis holds, one of ``VALUES``."""
    numbers = output.astype(np.float64)
    if numbers.min() >= 0 and np.abs(numbers.sum(axis=-1) - 1).max() < _ROUNDING:
        return PROBABILITIES
    if numbers.max() <= _ROUNDING and np.abs(np.exp(numbers).sum(axis=-1) - 1).max() < _ROUNDING:
        return LOG_PROBABILITIES
    return LOGITS


def seen(output: np.ndarray) -> str:
    """Shape, range and sums of an output, for messages."""
    numbers = output.astype(np.float64)
    sums = numbers.sum(axis=-1)
    return (
        f"shape {output.shape}, values {numbers.min():.3g} to {numbers.max():.3g}, "
        f"sums over the last axis {sums.min():.3g} to {sums.max():.3g}"
    )


def time_steps_needed(label: str) -> int:
    """Count the time steps that CTC needs for a label: equal neighbours need a blank between them."""
    return len(label) + sum(a == b for a, b in itertools.pairwise(label))


def encode(labels: Sequence[str], alphabet: str) -> tuple[np.ndarray, np.ndarray]:
    """Encode labels as CTC targets.

    Args:
        labels: N labels, encoded as written.
        alphabet: the characters, in class order from class 1 on.

    Returns:
        Classes int32 (N, longest label) padded with the blank, lengths int32 (N,).

    Raises:
        ValueError: a label has a character outside the alphabet.
    """
    class_of = {character: index + 1 for index, character in enumerate(alphabet)}
    lengths = np.array([len(label) for label in labels], np.int32)
    classes = np.full((len(labels), max(lengths, default=0)), BLANK, np.int32)
    for row, label in enumerate(labels):
        try:
            classes[row, : len(label)] = [class_of[character] for character in label]
        except KeyError as error:
            raise ValueError(f"label {label!r} has {error.args[0]!r}, which is not in the alphabet") from None
    return classes, lengths


def decode(classes: Sequence[int] | np.ndarray, alphabet: str) -> str:
    """Convert classes to text; blanks are dropped, repeats are kept."""
    return "".join(alphabet[index - 1] for index in classes if index != BLANK)


def best_path(log_probs: np.ndarray, alphabet: str) -> list[str]:
    """Decode greedily (best path): collapse repeats, then drop blanks (Graves et al., 2006).

    Args:
        log_probs: float (N, T, C), in nats.
        alphabet: C - 1 characters, in class order from class 1 on.

    Returns:
        N texts.
    """
    path = log_probs.argmax(axis=-1)
    # A step is kept if it differs from the one before it; the first is always kept.
    changes = np.ones(path.shape, bool)
    changes[:, 1:] = path[:, 1:] != path[:, :-1]
    return [decode(steps[kept], alphabet) for steps, kept in zip(path, changes, strict=True)]


def edit_distance(reference: str, text: str) -> int:
    """Compute the Levenshtein distance: insertions, deletions and substitutions cost 1."""
    return 0 if reference == text else prefix_distances(reference, text)[-1][-1]


def prefix_distances(reference: str, text: str) -> list[list[int]]:
    """Compute the Levenshtein distances between all prefixes, row by row (Wagner and Fischer, 1974)."""
    table = [list(range(len(text) + 1))]
    for row, expected in enumerate(reference, start=1):
        above, here = table[-1], [row]
        for column, actual in enumerate(text, start=1):
            here.append(min(above[column] + 1, here[-1] + 1, above[column - 1] + (expected != actual)))
        table.append(here)
    return table


def edits(references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """Compute the Levenshtein distance of each pair, int64 (N,).

    Raises:
        ValueError: the sequences differ in length.
    """
    return np.array([edit_distance(*pair) for pair in zip(references, hypotheses, strict=True)], int)


def character_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Compute the CER: edits summed over all lines / reference characters summed over all lines.

    Raises:
        ValueError: the references have no characters, or the sequences differ in length.
    """
    characters = sum(map(len, references))
    if not characters:
        raise ValueError("CER needs at least one reference character")
    return float(edits(references, hypotheses).sum() / characters)
