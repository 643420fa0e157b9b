"""Descriptions of a user's model that are tried on labelled lines, and what is wrong with the stated one."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
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


def placed(output: Output, found: Tried, stated: Mapping[str, Any], lines: Lines) -> Tried:
    """The description found so far, or one with another place of the line in the input that makes far less error.

    Places are tried where the lines have image files of their own.

    Args:
        output: runs the model.
        found: reads the lines, placed as stated or as usual.
        stated: keys of an interface that the user states.
        lines: labelled.

    Raises:
        InterfaceError: another ``resize`` or ``padding`` than the stated one makes far less error.
    """
    files = [file for file in lines.files if file]
    if not found.cer or len(files) < len(lines):
        return found
    best, seen = found, {lines.at(found.interface.frame)[0].tobytes()}
    for resize, padding in itertools.product(RESIZES, PADDINGS):
        described = replace(found.interface, resize=resize, padding=padding)
        images = of_files(files, described.frame)
        if images.tobytes() in seen:
            continue
        seen.add(images.tobytes())
        one = Tried.of(described, output(images, lines.kinds, described), lines.labels)
        best = min(best, one, key=lambda each: each.cer)
    if best.cer >= min(_READABLE, _MUCH_LESS * found.cer):
        return found
    # Nothing is beside a line that fills the input.
    for key in ("resize",) if best.interface.resize == STRETCH else ("resize", "padding"):
        if key in stated and stated[key] != (fits := getattr(best.interface, key)):
            raise InterfaceError(
                f"{key} = {stated[key]!r} looks wrong: CER {found.cer:.3f} on {len(lines)} lines, "
                f"{best.cer:.3f} with {fits!r}"
            )
    return best


def chosen(tried: Sequence[Tried], stated: Mapping[str, Any]) -> Tried:
    """That with the least loss which has the stated blank and scaling.

    Raises:
        InterfaceError: another blank or scaling makes far less error.
    """
    best = min(tried, key=lambda one: one.loss)
    expected = {key: getattr(tried[0].interface, key) for key in _SCALING & stated.keys()}
    if "blank" in stated:
        expected["blank"] = stated["blank"] % (len(best.interface.alphabet) + 1)
    fitting = [one for one in tried if all(getattr(one.interface, key) == value for key, value in expected.items())]
    chosen = min(fitting, key=lambda one: one.loss)
    if best.cer >= min(_READABLE, _MUCH_LESS * chosen.cer):
        return chosen
    key = next(key for key in ("blank", *_SCALING) if key in expected and getattr(best.interface, key) != expected[key])
    others = ["blank"] if key == "blank" else list(_SCALING)
    raise InterfaceError(
        f"{key} = {stated[key]} looks wrong: CER {chosen.cer:.3f} on {len(best.texts)} lines, {best.cer:.3f} with "
        + ", ".join(f"{other} {getattr(best.interface, other)}" for other in others)
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
