"""Descriptions of a user's model that are tried on labelled lines, and what is wrong with the stated one."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from crnn.corpus.images import of_files
from crnn.corpus.lines import Lines
from crnn.interface import PADDINGS, RESIZES, STRETCH, Interface, InterfaceError
from crnn.measure.accuracy import ctc_losses
from crnn.measure.misreadings import alignment
from crnn.text import best_path, character_error_rate, encode

# Another description that makes so much less error shows that the stated one is wrong.
_MUCH_LESS = 0.5
# Up to this CER a model reads; above, nothing follows from what it returns.
_READABLE = 0.5
_TOLD = 5  # characters of which an error tells what they are read for
SCALINGS: tuple[dict[str, Any], ...] = (
    {"black": 0.0, "white": 1.0, "mean": (0.0,), "std": (1.0,)},
    {"black": 0.0, "white": 1.0, "mean": (0.5,), "std": (0.5,)},
    {"black": 0.0, "white": 255.0, "mean": (0.0,), "std": (1.0,)},
    # White on black, as kraken's models read.
    {"black": 1.0, "white": 0.0, "mean": (0.0,), "std": (1.0,)},
)
_SCALING = SCALINGS[0].keys()
Output = Callable[[np.ndarray, np.ndarray, Interface], np.ndarray]
"""Runs a model: its output, untouched, for images uint8 (B, H, W) and kinds, by a description."""


@dataclass(frozen=True)
class Tried:
    """A description with which the first lines were read.

    Attributes:
        interface: the description.
        texts: as read.
        cer: of them.
        loss: median CTC loss of a line, in nats: it tells scalings apart that read equally well.
    """

    interface: Interface
    texts: list[str]
    cer: float
    loss: float

    @classmethod
    def of(cls, interface: Interface, output: np.ndarray, labels: Sequence[str]) -> Self:
        """What a description makes of a model's output for labelled lines."""
        log_probs = interface.log_probs(output)
        texts = best_path(log_probs, interface.alphabet)
        losses = ctc_losses(log_probs, *encode(labels, interface.alphabet))
        return cls(interface, texts, character_error_rate(labels, texts), float(np.median(losses)))


def tried(output: Output, interface: Interface, stated: Mapping[str, Any], lines: Lines) -> Iterator[Tried]:
    """Read lines with the stated scaling, then with each usual one; each with the stated and the usual blanks."""
    images, kinds = lines.at(interface.frame)
    classes = len(interface.alphabet) + 1
    for scaling in [{}, *SCALINGS] if _SCALING & stated.keys() else SCALINGS:
        scaled = replace(interface, **scaling)
        returned = output(images, kinds, scaled)
        for blank in sorted({interface.blank % classes, 0, classes - 1}):
            yield Tried.of(replace(scaled, blank=blank), returned, lines.labels)


def placed(output: Output, found: Tried, lines: Lines) -> Iterator[Tried]:
    """Read lines at each other place in the input, where they have image files of their own and are not read perfectly.

    Args:
        output: runs the model.
        found: reads the lines, placed as stated or as usual.
        lines: labelled.
    """
    files = [file for file in lines.files if file]
    if not found.cer or len(files) < len(lines):
        return
    seen = {lines.at(found.interface.frame)[0].tobytes()}
    for resize, padding in itertools.product(RESIZES, PADDINGS):
        described = replace(found.interface, resize=resize, padding=padding)
        images = of_files(files, described.frame)
        if images.tobytes() not in seen:
            seen.add(images.tobytes())
            yield Tried.of(described, output(images, lines.kinds, described), lines.labels)


def chosen(tried: Sequence[Tried], stated: Mapping[str, Any]) -> Tried:
    """That with the least loss which has the stated blank and scaling.

    Raises:
        InterfaceError: another blank makes far less error.
    """
    fitting = [one for one in tried if not _contradicted(one, tried[0], _SCALING & stated.keys())]
    best = min(fitting, key=lambda one: one.loss)
    if "blank" not in stated:
        return best
    blank = stated["blank"] % (len(best.interface.alphabet) + 1)
    chosen = min((one for one in fitting if one.interface.blank == blank), key=lambda one: one.loss)
    if best.cer < min(_READABLE, _MUCH_LESS * chosen.cer):
        raise InterfaceError(
            f"blank = {stated['blank']} looks wrong: CER {chosen.cer:.3f} on {len(best.texts)} lines, "
            f"{best.cer:.3f} with {best.interface.blank}"
        )
    return chosen


def _contradicted(one: Tried, other: Tried, keys: Iterable[str]) -> list[str]:
    """Which keys differ between two descriptions; nothing is beside a line that fills the input."""
    first, second = one.interface, other.interface
    full = STRETCH in (first.resize, second.resize)
    return [key for key in keys if getattr(first, key) != getattr(second, key) and not (key == "padding" and full)]


def better(found: Tried, others: Iterable[Tried], stated: Mapping[str, Any]) -> tuple[Tried, str]:
    """One that makes far less error than that found so far, if it has all that is stated; else a doubt about a key.

    It is no more than a doubt: a model that reads lines unlike those of its training may read them better with another
    contrast than that of its training.
    """
    best = min([found, *others], key=lambda one: one.cer)
    if best.cer >= min(_READABLE, _MUCH_LESS * found.cer):
        return found, ""
    keys = [key for key in ("blank", *_SCALING, "resize", "padding") if key in stated]
    if not (odd := _contradicted(best, found, keys)):
        return best, ""
    return found, (
        f"{odd[0]} = {stated[odd[0]]!r} may be wrong: CER {found.cer:.4f} on {len(found.texts)} lines, "
        f"{best.cer:.4f} with " + ", ".join(f"{key} {getattr(best.interface, key)}" for key in odd)
    )


def _reordered(one: Tried, labels: Sequence[str]) -> tuple[float, dict[str, str]]:
    """The CER with the characters in the order that fits the labels best, and what each then stands for."""
    from scipy.optimize import linear_sum_assignment

    alphabet = one.interface.alphabet
    place = {character: index for index, character in enumerate(alphabet)}
    counts = np.zeros((len(alphabet), len(alphabet)))
    for label, text in zip(labels, one.texts, strict=True):
        for expected, actual in alignment(label, text):
            if expected and actual:
                counts[place[actual], place[expected]] += 1
    meant = dict(zip(alphabet, (alphabet[index] for index in linear_sum_assignment(-counts)[1]), strict=True))
    cer = character_error_rate(labels, ["".join(meant[character] for character in text) for text in one.texts])
    return cer, {
        actual: meant[actual] for actual in alphabet if counts[place[actual]].any() and meant[actual] != actual
    }


def check_alphabet(tried: Sequence[Tried], chosen: Tried, labels: Sequence[str]) -> None:
    """Look whether the classes of a model that reads badly stand for other characters.

    Raises:
        InterfaceError: with characters in another order the lines are read with far less error.
    """
    if chosen.cer <= _READABLE:
        return
    cer, meant = min((_reordered(one, labels) for one in tried), key=lambda found: found[0])
    if cer < min(_READABLE, _MUCH_LESS * chosen.cer):
        raise InterfaceError(
            f"alphabet looks wrong: CER {chosen.cer:.3f} on {len(labels)} lines, {cer:.3f} in another order: "
            + ", ".join(f"{actual!r} is read for {expected!r}" for actual, expected in list(meant.items())[:_TOLD])
        )
