"""Draw a line of text that looks like a scan.

Pillow renders the text; numpy and Pillow degrade it: slant, blur, ink loss, form
lines and stamps across the text, paper texture, uneven light, scan noise and JPEG.
"""

import functools
import io
from math import ceil
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from crnn.corpus.lines import HEIGHT, WIDTH

_SUPERSAMPLING = 2


@functools.cache
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def _smooth_noise(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Draw noise with a grain of WIDTH / columns pixels, float32 (32, 400), about [-1, 1]."""
    coarse = Image.fromarray(rng.uniform(-1, 1, (rows, columns)).astype(np.float32))
    return np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


class _Style(NamedTuple):
    """How a typeface's letters are changed.

    Attributes:
        stretch: factor on their widths.
        tracking: space between letters, in sizes of the font.
        weight: 1 for strokes that are bolder by half a pixel on each side, -1 for thinner and paler ones, 0 for the
            typeface's own.
    """

    stretch: float = 1.0
    tracking: float = 0.0
    weight: int = 0


_AS_IT_IS = _Style()


def _any_style(rng: np.random.Generator) -> _Style:
    """Draw a style."""
    stretch = float(np.clip(np.exp(rng.normal(0, 0.13)), 0.7, 1.4))
    tracking = float(np.clip(rng.normal(0.01, 0.035), -0.05, 0.15))
    return _Style(stretch, tracking, int(rng.choice([-1, 0, 1], p=[0.15, 0.6, 0.25])))


def _length(text: str, font: ImageFont.FreeTypeFont, size: int, style: _Style) -> float:
    """Width of a text, before it is stretched."""
    return font.getlength(text) + style.tracking * size * (len(text) - 1)


def _written(
    shape: tuple[int, int], start: tuple[float, float], text: str, font: ImageFont.FreeTypeFont, size: int,
    style: _Style,
) -> Image.Image:  # fmt: skip
    """A canvas of this width and height with a text in a style, whose baseline starts there."""
    # Wide enough for the text before it is narrowed.
    canvas = Image.new("L", (ceil(shape[0] / min(style.stretch, 1)), shape[1]))
    (x, y), draw, bolder = start, ImageDraw.Draw(canvas), max(style.weight, 0)
    if style.tracking:
        for index, letter in enumerate(text):
            # The length of what stands before it holds the typeface's own kerning.
            right = x + _length(text[: index + 1], font, size, style)
            draw.text((right - font.getlength(letter), y), letter, 255, font, anchor="ls", stroke_width=bolder)
    else:
        draw.text((x, y), text, 255, font, anchor="ls", stroke_width=bolder)
    if style.weight < 0:
        # Not wholly: strokes of a small or light font would vanish.
        canvas = Image.blend(canvas, canvas.filter(ImageFilter.MinFilter(3)), 0.6)
    if style.stretch != 1:
        # Each pixel takes its value from where it was before stretching; the start stays.
        affine = (1 / style.stretch, 0, x * (1 - 1 / style.stretch), 0, 1, 0)
        canvas = canvas.transform(shape, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    return canvas


def _ink(rng: np.random.Generator, text: str, font_path: str, style: _Style) -> np.ndarray:
    """Render the text's ink, placed, slanted and blurred; float32 (32, 400) in [0, 1]."""
    size = int(rng.integers(17, 27)) * _SUPERSAMPLING
    room = (WIDTH - 8) * _SUPERSAMPLING
    while style.stretch * _length(text, _font(font_path, size), size, style) > room:
        size -= 1
    font = _font(font_path, size)
    width, height = WIDTH * _SUPERSAMPLING, HEIGHT * _SUPERSAMPLING
    x = 4 * _SUPERSAMPLING + rng.beta(1, 3) * (room - style.stretch * _length(text, font, size, style))
    # Capital letters are centred vertically, give or take three pixels.
    y = height / 2 + rng.uniform(-3, 3) * _SUPERSAMPLING
    canvas = _written((width, height), (x, y + 0.36 * size), text, font, size, style)

    shear, tilt = rng.normal(0, 0.12), rng.normal(0, 0.006)
    shear, tilt = np.clip(shear, -0.3, 0.3), np.clip(tilt, -0.015, 0.015)
    affine = (1, shear, -shear * height / 2, tilt, 1, -tilt * width / 2)
    canvas = canvas.transform((width, height), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    canvas = canvas.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(min(rng.gamma(2, 0.28), 1.2))), np.float32) / 255


def _crossings(rng: np.random.Generator) -> np.ndarray:
    """Draw form lines and stamps that cross the text, float32 (32, 400) in [0, 1]."""
    canvas = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(canvas)
    if rng.random() < 0.35:
        y, drop = rng.uniform(2, HEIGHT - 2), rng.normal(0, 1.5)
        draw.line((0, y, WIDTH, y + drop), int(rng.integers(90, 256)), int(rng.integers(1, 3)))
    if rng.random() < 0.15:
        x = rng.uniform(0, WIDTH)
        draw.line((x, 0, x + rng.normal(0, 8), HEIGHT), int(rng.integers(90, 256)), 1)
    if rng.random() < 0.2:
        x, y, radius = rng.uniform(0, WIDTH), rng.uniform(-20, HEIGHT + 20), rng.uniform(18, 60)
        for inset in (0, rng.uniform(4, 9)):
            reach = radius - inset
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), None, int(rng.integers(80, 200)), 2)
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(0.6)), np.float32) / 255


def draw_line(
    rng: np.random.Generator, text: str, font_path: str, noise: float = 1.0, *, any_style: bool = False
) -> bytes:
    """Draw one line as a grey JPEG, 32x400 pixels.

    Args:
        rng: source of all variation.
        text: the text to draw, one line.
        font_path: a TrueType or OpenType file.
        noise: factor on ink loss, paper texture and scan noise; the field corpus uses 1.
        any_style: whether widths of letters, spaces between them and weights of strokes vary, so that a few typefaces
            look like many.
    """
    ink = _ink(rng, text, font_path, _any_style(rng) if any_style else _AS_IT_IS)
    # Ink loss follows the grain of the paper.
    loss = np.clip(_smooth_noise(rng, 16, 200) * rng.uniform(0, 0.8) * noise, 0, 1)
    ink = ink * (1 - loss) * rng.uniform(0.7, 1)
    crossing = _crossings(rng) * rng.uniform(0.3, 0.8)
    coverage = 1 - (1 - ink) * (1 - crossing)

    paper = rng.uniform(170, 245) + 10 * noise * rng.uniform(0.2, 1) * _smooth_noise(rng, 16, 160)
    light = 1 + 0.15 * _smooth_noise(rng, 2, 4)
    black = rng.uniform(10, 80)
    grey = (paper * (1 - coverage) + black * coverage) * light
    grey += rng.normal(0, rng.uniform(1, 11) * noise, grey.shape)

    stream = io.BytesIO()
    pixels = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    pixels.save(stream, "JPEG", quality=int(rng.integers(30, 75)))
    return stream.getvalue()
