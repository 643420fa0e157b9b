"""What a corpus is: splits of lines that share no image, and an alphabet."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crnn.text import time_steps_needed

HEIGHT, WIDTH = 32, 400
TIME_STEPS = 50
DIGITS, LETTERS = 0, 1
KINDS = ("digits", "letters")


class CorpusError(ValueError):
    """A corpus that cannot be used; the message names every fault found."""


def kind_of(label: str) -> int:
    """The kind of a line whose corpus does not tell it: letters if it has any."""
    return LETTERS if any(character.isalpha() for character in label) else DIGITS


@dataclass(frozen=True)
class Lines:
    """Lines of one split.

    Attributes:
        images: uint8 (N, 32, 400), 0 is black.
        labels: N texts as written.
        kinds: uint8 (N,), 0 for digits and 1 for letters: what the field input carries.
        typefaces: N names, empty where unknown.
        seen: bool (N,), whether the label also occurs in training.
    """

    images: np.ndarray
    labels: tuple[str, ...]
    kinds: np.ndarray
    typefaces: tuple[str, ...]
    seen: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Lines":
        """The lines at the given positions, in that order."""
        rows = np.asarray(rows, int)
        return Lines(
            self.images[rows],
            tuple(self.labels[row] for row in rows),
            self.kinds[rows],
            tuple(self.typefaces[row] for row in rows),
            self.seen[rows],
        )


def model_inputs(images: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and kinds as every runtime takes them.

    Args:
        images: uint8 (B, 32, 400).
        kinds: uint8 (B,).

    Returns:
        Images float32 (B, 32, 400) in [0, 1] and field float32 (B, 50, 2), the
        one-hot of the line's kind repeated over the time steps.
    """
    pixels = images.astype(np.float32) / np.float32(255)
    one_hot = np.eye(len(KINDS), dtype=np.float32)[kinds]  # (B,) -> (B, 2)
    field = np.repeat(one_hot[:, None, :], TIME_STEPS, axis=1)  # (B, 2) -> (B, 50, 2)
    return pixels, field


def content_hash(lines: Lines) -> str:
    """SHA-256 over pixels, kinds and labels of the lines, in order."""
    digest = hashlib.sha256()
    digest.update(np.ascontiguousarray(lines.images).tobytes())
    digest.update(np.ascontiguousarray(lines.kinds).tobytes())
    digest.update("\0".join(lines.labels).encode())
    return digest.hexdigest()


def label_faults(name: str, label: str, alphabet: str) -> list[str]:
    """What is wrong with one label, in words, the line's name in front."""
    faults = []
    if not label:
        faults.append(f"{name}: the label is empty")
    if unknown := sorted(set(label) - set(alphabet)):
        faults.append(f"{name}: {''.join(unknown)!r} in {label!r} is not in the alphabet")
    if (needed := time_steps_needed(label)) > TIME_STEPS:
        faults.append(f"{name}: {label!r} needs {needed} time steps, the model has {TIME_STEPS}")
    return faults


class Corpus:
    """A corpus: three splits, none sharing an image, and the alphabet of its labels.

    The test split is at hand; training and validation are loaded when asked for.
    """

    def __init__(
        self, name: str, alphabet: str, sha256: str, test: Lines, load_training: Callable[[], tuple[Lines, Lines]]
    ) -> None:
        """Make a corpus.

        Args:
            name: what it is called in tables.
            alphabet: the characters, in class order from class 1 on.
            sha256: tells this corpus from every other.
            test: what is measured; never trained on.
            load_training: gives the training and the validation split.
        """
        self.name, self.alphabet, self.sha256, self.test = name, alphabet, sha256, test
        self._load_training = load_training

    @cached_property
    def _training(self) -> tuple[Lines, Lines]:
        splits = (*self._load_training(), self.test)
        if not all(len(lines) for lines in splits):
            sizes = "/".join(str(len(lines)) for lines in splits)
            raise CorpusError(f"corpus {self.name}: {sizes} lines to train, validate and test; it takes more images")
        pixels = [{image.tobytes() for image in lines.images} for lines in splits]
        if pixels[0] & pixels[1] or pixels[0] & pixels[2] or pixels[1] & pixels[2]:
            raise CorpusError(f"corpus {self.name}: the splits share images")
        return splits[:2]

    @property
    def train(self) -> Lines:
        """What models learn from."""
        return self._training[0]

    @property
    def validation(self) -> Lines:
        """What decides when training stops."""
        return self._training[1]
