"""Images of a user's corpus: found inside its folder, decoded with limits, scaled to the models' inputs."""

import os
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from crnn.interface import BORDER, FIT, LEVELS, SQUEEZE, Frame

T = TypeVar("T")
MAX_PIXELS = 64_000_000
"""Most pixels of one image: a scanned page has fewer, and decoding more takes gigabytes."""


def grey(image: Image.Image) -> Image.Image:
    """An image of any mode in 8-bit grey; transparent pixels become white."""
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode.startswith(("I", "F")):
        # 16-bit and float scans: Pillow's conversion to 8 bits would clip them.
        levels = np.asarray(image, np.float64)
        span = max(np.ptp(levels), 1e-9) if levels.max() > 255 else 255
        low = levels.min() if levels.max() > 255 else 0
        image = Image.fromarray(((levels - low) / span * 255).astype(np.uint8))
    return image.convert("L")


def fit(image: Image.Image, frames: Sequence[Frame]) -> list[np.ndarray]:
    """Scale an image of any size and mode into each of the frames: uint8 (H, W) each.

    The image is placed at the left and centred vertically. By default it keeps its aspect ratio, and is padded with the
    median of its own border, so that padding adds no edge.
    """
    decoded = grey(image)
    return [fitted(decoded, *frame) for frame in frames]


def fitted(image: Image.Image, height: int, width: int, resize: str = FIT, padding: str = BORDER) -> np.ndarray:
    """Scale a grey image as ``fit`` does into a ``Frame`` of these values: uint8 (H, W)."""
    if image.size == (width, height):
        return np.array(image)
    across, down = width / image.width, height / image.height
    if resize == FIT:
        across = down = min(across, down)
    elif resize == SQUEEZE:
        across = min(across, down)
    size = max(1, round(image.width * across)), max(1, round(image.height * down))
    scaled = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    border = np.concatenate([scaled[0], scaled[-1], scaled[:, 0], scaled[:, -1]])
    level = LEVELS.get(padding)
    padded = np.full((height, width), np.uint8(np.median(border) if level is None else level))
    top = (height - size[1]) // 2
    padded[top : top + size[1], : size[0]] = scaled
    return padded


def regular_file(folder: Path, name: str) -> Path:
    """The path of a file of the corpus, symbolic links resolved; opens nothing.

    Args:
        folder: the corpus, resolved.
        name: path relative to the folder.

    Raises:
        OSError: there is no such file.
        ValueError: it lies outside the folder, or is not a regular file (a FIFO would block).
    """
    path = Path(os.path.realpath(folder / name))
    if not path.is_relative_to(folder):
        raise ValueError(f"{path} is outside the corpus folder; copy the file into the folder")
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file; replace it with one")
    return path


@contextmanager
def opened(source: Path | BytesIO) -> Iterator[Image.Image]:
    """Open an image, with a limit on its size.

    Raises:
        ValueError: it has too many pixels.
    """
    with warnings.catch_warnings():
        # Pillow warns of bad metadata, which does not change the pixels, and of sizes from 89 megapixels on.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(source) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                yield image
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise ValueError(f"more than {MAX_PIXELS / 1e6:.0f} megapixels; crop or scale the image") from None


def of_files(files: Sequence[Path], frame: Frame) -> np.ndarray:
    """Image files in a frame, uint8 (N, H, W); errors as in ``opened``."""
    placed = []
    for file in files:
        with opened(file) as image:
            placed += fit(image, [frame])
    return np.stack(placed)


def aspect(image: Image.Image) -> float:
    """Width / height."""
    return image.width / image.height


def file_image(folder: Path, name: str, use: Callable[[Image.Image], T]) -> T:
    """What is made of an image file; errors as in ``regular_file`` and ``opened``."""
    with opened(regular_file(folder, name)) as image:
        return use(image)


def stored_image(content: bytes, use: Callable[[Image.Image], T]) -> T:
    """What is made of an encoded image in memory; errors as in ``opened``."""
    with opened(BytesIO(content)) as image:
        return use(image)


def array_image(pixels: np.ndarray, use: Callable[[Image.Image], T]) -> T:
    """What is made of a grey image uint8 (H, W)."""
    return use(Image.fromarray(pixels))


def cropped(page: Callable[[], Image.Image], box: tuple[int, int, int, int], use: Callable[[Image.Image], T]) -> T:
    """What is made of a part of a page.

    Args:
        page: the decoded page.
        box: left, upper, right and lower edge, in pixels.
        use: makes it.

    Raises:
        ValueError: the part is empty, or lies outside the page.
    """
    image = page()
    left, upper, right, lower = box
    inside = max(0, left), max(0, upper), min(image.width, right), min(image.height, lower)
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise ValueError(f"the line at {left}, {upper} to {right}, {lower} is outside the page, {image.size}")
    return use(image.crop(inside))
