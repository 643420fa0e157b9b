"""A corpus: three splits of lines that share no image, and an alphabet."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from crnn.interface import BUILT_IN, Frame
from crnn.text import time_steps_needed

Size = tuple[int, int]
"""Height and width of images, in pixels."""
HEIGHT, WIDTH = BUILT_IN.size
DIGITS, LETTERS = 0, 1
KINDS = ("digits", "letters")


class CorpusError(ValueError):
    """The corpus cannot be used; the message names every fault found."""


def kind_of(label: str) -> int:
    """Derive a line's kind from its label: letters if it has any, else digits."""
    return LETTERS if any(character.isalpha() for character in label) else DIGITS


@dataclass(frozen=True)
class Lines:
    """Lines of one split.

    Attributes:
        images: uint8 (N, H, W), 0 is black.
        labels: N texts as written.
        kinds: uint8 (N,), 0 for digits and 1 for letters; the model's field input encodes them.
        typefaces: N names, empty if unknown.
        seen: bool (N,), whether the label also occurs in the training split.
        resized: the same images in the frames of models that take others, uint8 (N, H, W).
        files: of the images, N paths, None for a line without one of its own; empty if none has one.
    """

    images: np.ndarray
    labels: tuple[str, ...]
    kinds: np.ndarray
    typefaces: tuple[str, ...]
    seen: np.ndarray
    resized: Mapping[Frame, np.ndarray] = field(default_factory=dict)
    files: tuple[Path | None, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Lines":
        """Select the lines at the given positions, in that order."""
        rows = np.asarray(rows, int)
        return Lines(
            self.images[rows],
            tuple(self.labels[row] for row in rows),
            self.kinds[rows],
            tuple(self.typefaces[row] for row in rows),
            self.seen[rows],
            {frame: images[rows] for frame, images in self.resized.items()},
            tuple(self.files[row] for row in rows) if self.files else (),
        )

    def at(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 (N, H, W) in that frame, and kinds: what a worker keeps.

        Raises:
            LookupError: the lines were not read in that frame.
        """
        if frame == Frame(*self.images.shape[1:]):
            return self.images, self.kinds
        return self.resized[frame], self.kinds


def model_inputs(images: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert pixels and kinds to the inputs of every runtime.

    Args:
        images: uint8 (B, H, W).
        kinds: uint8 (B,).

    Returns:
        Images float32 (B, H, W) in [0, 1], and field float32 (B, T, 2): the
        one-hot of the line's kind, repeated over the time steps of that width.
    """
    pixels = images.astype(np.float32) / np.float32(255)
    one_hot = np.eye(len(KINDS), dtype=np.float32)[kinds]  # (B,) -> (B, 2)
    steps = images.shape[2] // BUILT_IN.pixels_per_step
    return pixels, np.repeat(one_hot[:, None, :], steps, axis=1)  # (B, 2) -> (B, T, 2)


def content_hash(lines: Lines) -> str:
    """Hash pixels, kinds and labels of the lines, in order, by SHA-256."""
    digest = hashlib.sha256()
    digest.update(np.ascontiguousarray(lines.images).tobytes())
    digest.update(np.ascontiguousarray(lines.kinds).tobytes())
    digest.update("\0".join(lines.labels).encode())
    return digest.hexdigest()


def label_faults(name: str, label: str, alphabet: str, time_steps: int = BUILT_IN.time_steps) -> list[str]:
    """List the faults of one label, each as a message that starts with the line's name.

    Args:
        name: of the line.
        label: its text.
        alphabet: the characters that it may have.
        time_steps: of the model.
    """
    faults = []
    if not label:
        faults.append(f"{name}: the label is empty")
    if unknown := sorted(set(label) - set(alphabet)):
        faults.append(f"{name}: {''.join(unknown)!r} in {label!r} is not in the alphabet")
    if (needed := time_steps_needed(label)) > time_steps:
        faults.append(f"{name}: {label!r} needs {needed} time steps, the model has {time_steps}")
    return faults


class Corpus:
    """Three splits that share no image, and the alphabet of their labels.

    The test split is in memory; the training and validation splits are loaded on first use.
    """

    def __init__(
        self,
        name: str,
        alphabet: str,
        sha256: str,
        test: Lines,
        load_training: Callable[[], tuple[Lines, Lines]],
        left_out: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        """Create a corpus.

        Args:
            name: the corpus's name in tables.
            alphabet: the characters, in class order from class 1 on.
            sha256: hash that identifies the corpus.
            test: the split that is measured; never trained on.
            load_training: returns the training and the validation split.
            left_out: lines that do not fit, with the time steps that they need; none of the splits has them.
            notes: what a user should know about how it was read.
        """
        self.name, self.alphabet, self.sha256, self.test = name, alphabet, sha256, test
        self.left_out, self.notes = left_out, notes
        self._load_training = load_training

    @property
    def size(self) -> Size:
        """Height and width of the line images that the built-in models read."""
        height, width = self.test.images.shape[1:]
        return height, width

    @property
    def width(self) -> int:
        """Of the line images that the built-in models read, in pixels."""
        return self.size[1]

    @cached_property
    def _training(self) -> tuple[Lines, Lines]:
        splits = (*self._load_training(), self.test)
        if not all(len(lines) for lines in splits):
            sizes = "/".join(str(len(lines)) for lines in splits)
            raise CorpusError(
                f"corpus {self.name}: {sizes} lines to train, validate and test, no split may be empty; add more images"
            )
        pixels = [{image.tobytes() for image in lines.images} for lines in splits]
        if pixels[0] & pixels[1] or pixels[0] & pixels[2] or pixels[1] & pixels[2]:
            raise CorpusError(f"corpus {self.name}: the splits share images; keep each image in one split only")
        return splits[:2]

    @property
    def train(self) -> Lines:
        """Training split.

        Raises:
            CorpusError: a split is empty, or two splits share an image.
        """
        return self._training[0]

    @property
    def validation(self) -> Lines:
        """Validation split, for early stopping; raises as ``train`` does."""
        return self._training[1]
