"""Read a user's own corpus: a folder in one of three forms.

(a) ``labels.tsv``: ``file <TAB> text`` per row, UTF-8; a third column may name the
    line's kind (``digits`` or ``letters``).
(b) ICDAR style ``gt.txt``: ``file, "text"`` per row, UTF-8.
(c) ``common_fields_images.h5`` (``images`` uint8 (N, 32, 400), ``additional_bit``
    (N,), 1 for letters) with ``common_fields_labels.txt`` (cp1251, one label per row).

All files must be regular files inside the folder. Every fault is found before
anything is used, and one error names them all.
"""

import functools
import hashlib
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from crnn.corpus.lines import HEIGHT, KINDS, WIDTH, Corpus, CorpusError, Lines, content_hash, kind_of, label_faults
from crnn.corpus.synthetic import NAME as FIELD

if TYPE_CHECKING:
    import h5py

MAX_PIXELS = 64_000_000
"""Most pixels of one image: a scanned page has fewer, and decoding more takes gigabytes."""

_ICDAR_ROW = re.compile(r'(?P<file>[^,]+),\s*"(?P<text>.*)"')


@dataclass(frozen=True)
class _Entry:
    """One line as listed.

    Attributes:
        place: listing, row and file, for messages.
        label: its text.
        kind: its kind, if the corpus gives it.
        pixels: reads the image, uint8 (32, 400).
    """

    place: str
    label: str
    kind: int | None
    pixels: Callable[[], np.ndarray]


def fit(image: Image.Image) -> np.ndarray:
    """Scale an image of any size and mode to uint8 (32, 400), keeping its aspect ratio.

    Transparent pixels become white. The image is placed at the left, centred vertically,
    and padded with the median of its own border, so that padding adds no edge.
    """
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode.startswith(("I", "F")):
        # 16-bit and float scans: Pillow's conversion to 8 bits would clip them.
        levels = np.asarray(image, np.float64)
        span = max(np.ptp(levels), 1e-9) if levels.max() > 255 else 255
        low = levels.min() if levels.max() > 255 else 0
        image = Image.fromarray(((levels - low) / span * 255).astype(np.uint8))
    grey = image.convert("L")
    scale = min(HEIGHT / grey.height, WIDTH / grey.width)
    size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
    scaled = np.asarray(grey.resize(size, Image.Resampling.LANCZOS))
    border = np.concatenate([scaled[0], scaled[-1], scaled[:, 0], scaled[:, -1]])
    fitted = np.full((HEIGHT, WIDTH), np.uint8(np.median(border)))
    top = (HEIGHT - size[1]) // 2
    fitted[top : top + size[1], : size[0]] = scaled
    return fitted


def _regular_file(folder: Path, name: str) -> Path:
    """Return the path of a file of the corpus, symbolic links resolved; opens nothing.

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


def _file_pixels(folder: Path, name: str) -> np.ndarray:
    path = _regular_file(folder, name)
    with warnings.catch_warnings():
        # Pillow warns of bad metadata, which does not change the pixels, and of sizes from 89 megapixels on.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                return fit(image)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise ValueError(f"more than {MAX_PIXELS / 1e6:.0f} megapixels; crop or scale the image") from None


def _tsv_entries(listing: Path, faults: list[str]) -> Iterator[_Entry]:
    for number, row in enumerate(listing.read_text("utf-8-sig").splitlines(), 1):
        if not row.strip():
            continue
        place = f"{listing.name}:{number}"
        name, *rest = row.split("\t")
        if not rest or len(rest) > 2 or (len(rest) == 2 and rest[1] not in KINDS):
            faults.append(f"{place}: expected file<TAB>text[<TAB>digits|letters], found {row!r}")
            continue
        kind = KINDS.index(rest[1]) if len(rest) == 2 else None
        yield _Entry(f"{place} ({name})", rest[0], kind, functools.partial(_file_pixels, listing.parent, name))


def _icdar_entries(listing: Path, faults: list[str]) -> Iterator[_Entry]:
    for number, row in enumerate(listing.read_text("utf-8-sig").splitlines(), 1):
        if not row.strip():
            continue
        place = f"{listing.name}:{number}"
        if not (match := _ICDAR_ROW.fullmatch(row.strip())):
            faults.append(f'{place}: expected file, "text", found {row!r}')
            continue
        name, label = match["file"].strip(), match["text"].replace('\\"', '"')
        yield _Entry(f"{place} ({name})", label, None, functools.partial(_file_pixels, listing.parent, name))


def _own_dataset(file: "h5py.File", name: str) -> "h5py.Dataset":
    """Return a dataset whose data are in the file itself.

    Raises:
        ValueError: there is none, or its data are in another file.
    """
    import h5py

    dataset = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"no dataset {name} with its data in this file; store them there")
    return dataset


def _hdf5_entries(listing: Path, faults: list[str]) -> Iterator[_Entry]:
    try:
        import h5py
    except ImportError:
        raise ValueError("reading this form needs h5py, which is not installed; install requirements.txt") from None
    labels = [row.strip() for row in listing.read_text("cp1251").splitlines()]
    name = "common_fields_images.h5"
    try:
        with h5py.File(_regular_file(listing.parent, name)) as file:
            images, bits = _own_dataset(file, "images"), _own_dataset(file, "additional_bit")
            expected = (len(labels), HEIGHT, WIDTH)
            if images.dtype != np.uint8 or images.shape != expected or bits.shape[:1] != expected[:1]:
                raise ValueError(
                    f"images {images.dtype} {images.shape}, additional_bit {bits.shape} and {len(labels)} labels; "
                    f"expected uint8 (N, {HEIGHT}, {WIDTH}), (N,) and N"
                )
            pixels = images[:]
            # Of more columns, (N, ...), the first is used.
            letters = bits[(slice(None), *(0,) * (bits.ndim - 1))].astype(bool)
    except (OSError, IndexError, TypeError, ValueError) as error:
        faults.append(f"{name}: {error}")
        return
    for number, (image, bit, label) in enumerate(zip(pixels, letters, labels, strict=True), 1):
        yield _Entry(f"{listing.name}:{number}", label, int(bit), functools.partial(np.copy, image))


_FORMS: dict[str, Callable[[Path, list[str]], Iterator[_Entry]]] = {
    "labels.tsv": _tsv_entries,
    "gt.txt": _icdar_entries,
    "common_fields_labels.txt": _hdf5_entries,
}


def _split_of(image: np.ndarray) -> str:
    """Choose an image's split by the hash of its pixels: 80 % train, 10 % validation, 10 % test.

    Equal images get the same split, and adding lines moves no others.
    """
    share = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:4]) / 2**32
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"


def read_corpus(folder: Path, alphabet: str | None = None) -> Corpus:
    """Read a user's corpus.

    Args:
        folder: a corpus in one of the three forms.
        alphabet: the characters that labels may have; by default those that occur.

    Raises:
        CorpusError: no known form, or unreadable files or labels; the message names all of them.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(f"corpus {folder}: no such folder")
    form = next((name for name in _FORMS if (folder / name).exists()), None)
    if form is None:
        raise CorpusError(f"corpus {folder}: holds none of {', '.join(_FORMS)}; add one of them")
    faults: list[str] = []
    try:
        _regular_file(folder.resolve(), form)
        entries = list(_FORMS[form](folder.resolve() / form, faults))
    except UnicodeDecodeError as error:
        raise CorpusError(f"corpus {folder}: {form} is not {error.encoding} text: {error}; convert it") from None
    except (OSError, ValueError) as error:
        raise CorpusError(f"corpus {folder}: {form}: {error}") from None
    if alphabet is None:
        alphabet = "".join(sorted({character for entry in entries for character in entry.label}))

    images = []
    for entry in entries:
        faults += label_faults(entry.place, entry.label, alphabet)
        try:
            images.append(entry.pixels())
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
            faults.append(f"{entry.place}: {error}")
    if faults:
        raise CorpusError(f"corpus {folder}: faults: {len(faults)}\n  " + "\n  ".join(faults))
    if not entries:
        raise CorpusError(f"corpus {folder}: {form} lists no lines; add one row per image")

    splits = np.array([_split_of(image) for image in images])
    in_training = {entry.label for entry, split in zip(entries, splits, strict=True) if split == "train"}
    lines = Lines(
        np.stack(images),
        tuple(entry.label for entry in entries),
        np.array([kind_of(entry.label) if entry.kind is None else entry.kind for entry in entries], np.uint8),
        ("",) * len(entries),
        np.array([entry.label in in_training for entry in entries]),
    )
    train, validation, test = (lines.take(np.flatnonzero(splits == name)) for name in ("train", "validation", "test"))
    if not len(test):
        raise CorpusError(f"corpus {folder}: no line in the test split, {len(lines)} in all; add more images")
    # The field corpus's name selects the shipped artifacts and thresholds: no other corpus may have it.
    name = folder.resolve().name
    name = f"own-{name}" if name == FIELD else name
    return Corpus(name, alphabet, content_hash(lines), test, lambda: (train, validation))
