"""What a recognizer takes and returns: sizes, layout, scaling, blank, alphabet.

The built-in CRNN is one instance. A user's model brings another, as a TOML file with the keys of ``Interface``.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from crnn.text import LOG_PROBABILITIES, LOGITS, PROBABILITIES, VALUES, log_softmax, seen, values_of

LAYOUTS = ("BHW", "BCHW", "BHWC", "BWH", "BCWH", "BWHC")
OUTPUT_LAYOUTS = ("BTC", "TBC")
DTYPES = ("float32", "float16", "uint8")
FIT, SQUEEZE, STRETCH = RESIZES = ("fit", "squeeze", "stretch")
BORDER = "border"
LEVELS = {"black": 0, "grey": 128, "white": 255}
PADDINGS = (BORDER, *LEVELS)
# A probability that is not above zero has no logarithm, and below this one float32 softmaxes round differently.
_LEAST_PROBABILITY = np.float32(1e-12)


class InterfaceError(ValueError):
    """Raised for a description that a model does not fit; the message names the key, and what the model returns."""


class Frame(NamedTuple):
    """How a line's image becomes a model's input: its size, and its place there.

    Attributes:
        height: in pixels.
        width: in pixels.
        resize: ``fit`` keeps the aspect ratio; ``squeeze`` fills the height, and only lines that are too long lose
            their aspect ratio; ``stretch`` fills the whole input.
        padding: what is beside the line: the median of its own border, or a grey level.
    """

    height: int
    width: int
    resize: str = FIT
    padding: str = BORDER


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What a recognizer takes and returns.

    Attributes:
        height: of the input image, in pixels.
        width: of the input image, in pixels; all lines of a batch have it.
        resize: how a line's image is scaled, one of ``RESIZES``, see ``Frame``.
        padding: what is beside the line, one of ``PADDINGS``.
        channels: 1, or 3 for models of colour images, which get the grey one three times.
        images: name of the input for images.
        layout: order of that input's axes, one of ``LAYOUTS``.
        dtype: of that input, one of ``DTYPES``.
        black: value of black before normalization.
        white: value of white before normalization.
        mean: is subtracted, per channel.
        std: divides the rest, per channel.
        field: name of the input for the line's kind, float32 (B, T, 2); empty if the model has none.
        output: name of the output; empty for the only one.
        output_layout: order of its axes, one of ``OUTPUT_LAYOUTS``.
        values: what it holds, one of ``VALUES``.
        blank: class of the CTC blank; -1 is the last one.
        alphabet: the characters of the other classes, in order; empty for the corpus's.
        time_steps: T.
    """

    height: int = 32
    width: int = 400
    resize: str = FIT
    padding: str = BORDER
    channels: int = 1
    images: str = "images"
    layout: str = "BHW"
    dtype: str = "float32"
    black: float = 0.0
    white: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    field: str = ""
    output: str = ""
    output_layout: str = "BTC"
    values: str = LOG_PROBABILITIES
    blank: int = 0
    alphabet: str = ""
    time_steps: int = 50

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InterfaceError: a value is not possible; the message names its key.
        """
        for key in ("height", "width", "time_steps"):
            if getattr(self, key) < 1:
                raise InterfaceError(f"{key} = {getattr(self, key)}: expected at least 1")
        for key, known in (
            ("resize", RESIZES),
            ("padding", PADDINGS),
            ("channels", (1, 3)),
            ("layout", LAYOUTS),
            ("dtype", DTYPES),
            ("output_layout", OUTPUT_LAYOUTS),
            ("values", VALUES),
        ):
            if (value := getattr(self, key)) not in known:
                raise InterfaceError(f"{key} = {value!r}: expected one of {', '.join(map(str, known))}")
        for key in ("mean", "std"):
            if len(getattr(self, key)) not in (1, self.channels):
                raise InterfaceError(f"{key} has {len(getattr(self, key))} values, the model {self.channels} channels")
        if not all(self.std):
            raise InterfaceError("std = 0: expected values that are not zero")
        if "C" not in self.layout and self.channels != 1:
            raise InterfaceError(f"layout = {self.layout!r} has no axis for the channels: expected BCHW or the like")
        if len(set(self.alphabet)) != len(self.alphabet):
            twice = sorted({one for one in self.alphabet if self.alphabet.count(one) > 1})
            raise InterfaceError(f"alphabet has {''.join(twice)!r} more than once")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """From the keys of a TOML or JSON file; those that it lacks have their defaults.

        Raises:
            InterfaceError: a key or a value is not possible.
        """
        types: dict[str, type[Any]] = {item.name: type(item.default) for item in fields(cls)}
        if unknown := sorted(given.keys() - types.keys()):
            raise InterfaceError(f"no key {', '.join(map(repr, unknown))}; there are: {', '.join(types)}")
        taken: dict[str, Any] = {}
        for key, value in given.items():
            expected = types[key]
            if expected is tuple and isinstance(value, int | float) and not isinstance(value, bool):
                value = [value]  # noqa: PLW2901 the same for all channels
            kinds: Any = {tuple: (list, tuple), float: (int, float)}.get(expected, expected)
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise InterfaceError(f"{key} = {value!r}: expected {expected.__name__.replace('tuple', 'numbers')}")
            taken[key] = tuple(map(float, value)) if expected is tuple else expected(value)
        return cls(**taken)

    def to_json(self) -> dict[str, Any]:
        """For ``of``."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def to_toml(self) -> str:
        """As a user's file: JSON's strings, numbers and lists are TOML's too."""
        return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in self.to_json().items())

    @property
    def pixels_per_step(self) -> int:
        """How many pixels of the width one time step covers."""
        return self.width // self.time_steps

    @property
    def frame(self) -> Frame:
        """How a line's image becomes the input."""
        return Frame(self.height, self.width, self.resize, self.padding)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input image."""
        return self.frame[:2]

    def at_size(self, height: int, width: int) -> Self:
        """The same for lines of another size, with as many pixels per time step."""
        return replace(self, height=height, width=width, time_steps=width // self.pixels_per_step)

    def shapes(self, lines: int) -> dict[str, tuple[int, ...]]:
        """The shapes of the inputs for so many lines, by name."""
        sizes = {"B": lines, "C": self.channels, "H": self.height, "W": self.width}
        shapes = {self.images: tuple(sizes[axis] for axis in self.layout)}
        return shapes | ({self.field: (lines, self.time_steps, 2)} if self.field else {})

    @cached_property
    def _affine(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Factor and summand per channel, float32 (C,) each; None if the pixels stay as they are."""
        std = np.broadcast_to(np.array(self.std, np.float64), self.channels)
        factor = (self.white - self.black) / std
        summand = (self.black - np.broadcast_to(np.array(self.mean, np.float64), self.channels)) / std
        if self.channels == 1 and factor == 1 and summand == 0:
            return None
        return factor.astype(np.float32), summand.astype(np.float32)

    def inputs(self, images: np.ndarray, field: np.ndarray) -> dict[str, np.ndarray]:
        """What the model is given; a deployment pays for this per call.

        Args:
            images: float32 (B, H, W), 0 is black and 1 white.
            field: float32 (B, T, 2).

        Returns:
            Arrays by the names of the model's inputs.
        """
        pixels = images
        if self._affine is not None:
            factor, summand = self._affine
            pixels = images[:, None] * factor[:, None, None] + summand[:, None, None]  # (B, H, W) -> (B, C, H, W)
        elif "C" in self.layout:
            pixels = images[:, None]  # (B, H, W) -> (B, 1, H, W)
        if "C" not in self.layout and pixels is not images:
            pixels = pixels[:, 0]  # (B, 1, H, W) -> (B, H, W)
        if self.layout not in ("BHW", "BCHW"):
            # (B, C, H, W) or (B, H, W) -> axes as in the layout
            axes = "BCHW" if "C" in self.layout else "BHW"
            pixels = pixels.transpose([axes.index(axis) for axis in self.layout])
        if self.dtype == "uint8":
            pixels = pixels.round()
        pixels = np.ascontiguousarray(pixels, self.dtype)
        return {self.images: pixels, self.field: field} if self.field else {self.images: pixels}

    def log_probs(self, output: np.ndarray) -> np.ndarray:
        """Log probabilities float32 (B, T, C) with the blank first, from what the model returned.

        Args:
            output: in the described layout; any float type.
        """
        output = output.astype(np.float32, copy=False)
        if self.output_layout == "TBC":
            output = output.transpose(1, 0, 2)  # (T, B, C) -> (B, T, C)
        if self.values == LOGITS:
            output = log_softmax(output)
        elif self.values == PROBABILITIES:
            output = np.log(np.maximum(output, _LEAST_PROBABILITY))
        if blank := self.blank % output.shape[-1]:
            # (B, T, C): the classes before the blank move up by one
            parts = output[..., blank : blank + 1], output[..., :blank], output[..., blank + 1 :]
            output = np.concatenate(parts, axis=-1)
        return np.ascontiguousarray(output)

    def check(self, output: np.ndarray, lines: int, classes: int) -> None:
        """Compare what the model returned for some lines with this description.

        Args:
            output: of the model, untouched.
            lines: B; neither T nor C, so that the layout shows.
            classes: C, the alphabet and the blank.

        Raises:
            InterfaceError: it does not fit; the message names the key that looks wrong.
        """
        sizes = {"B": lines, "T": self.time_steps, "C": classes}
        expected = tuple(sizes[axis] for axis in self.output_layout)
        returned = f"the model returned {seen(output)}"
        if output.shape != expected:
            raise InterfaceError(f"{self._odd_axis(output.shape, sizes)}: expected {expected}, {returned}")
        if not np.isfinite(output).all():
            raise InterfaceError(f"output: values that are not finite; {returned}")
        if not -classes <= self.blank < classes:
            raise InterfaceError(f"blank = {self.blank}: the model has {classes} classes")
        # A softmax changes no log probabilities.
        if (found := values_of(output)) not in (self.values, LOG_PROBABILITIES if self.values == LOGITS else ""):
            raise InterfaceError(f"values = {self.values!r} looks wrong: {returned}, which are {found}")

    def _odd_axis(self, shape: tuple[int, ...], sizes: Mapping[str, int]) -> str:
        """The key that does not fit a shape."""
        for other in OUTPUT_LAYOUTS:
            if shape == tuple(sizes[axis] for axis in other):
                return f"output_layout = {self.output_layout!r} looks wrong, the shape is {other}"
        if len(shape) != 3 or sizes["B"] not in shape[:2]:
            return "output: not one distribution per line and time step"
        given = dict(zip(self.output_layout, shape, strict=True))
        if given["B"] != sizes["B"]:
            return f"output_layout = {self.output_layout!r} looks wrong"
        if given["C"] != sizes["C"]:
            return f"alphabet: {sizes['C'] - 1} characters and a blank, the model has {given['C']} classes"
        return f"time_steps = {self.time_steps} looks wrong"


def read(path: Path) -> dict[str, Any]:
    """The keys of a user's TOML file, checked each by itself.

    Raises:
        InterfaceError: there is no such file, it is not TOML, or a key or value is not possible.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8"))
        Interface.of(given)
    except FileNotFoundError:
        raise InterfaceError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InterfaceError(f"{path} is not TOML: {error}") from None
    except InterfaceError as error:
        raise InterfaceError(f"{path}: {error}") from None
    return given


BUILT_IN = replace(Interface(), field="field")
"""Of the CRNN that this project trains."""
