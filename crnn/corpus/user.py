"""Reading a user's own corpus: a folder in one of three forms.

(a) ``labels.tsv``: ``file <TAB> text`` a line, UTF-8; a third column may name the
    line's kind (``digits`` or ``letters``).
(b) ICDAR style ``gt.txt``: ``file, "text"`` a line, UTF-8.
(c) ``common_fields_images.h5`` (``images`` uint8 (N, 32, 400), ``additional_bit``
    (N,), 1 for letters) with ``common_fields_labels.txt`` (cp1251, a label a line).

Every fault is found before anything is used, and all are named in one error.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from crnn.corpus.lines import HEIGHT, KINDS, WIDTH, Corpus, CorpusError, Lines, content_hash, kind_of, label_faults
from crnn.corpus.synthetic import NAME as FIELD

_ICDAR_ROW = re.compile(r'(?P<file>[^,]+),\s*"(?P<text>.*)"')


@dataclass(frozen=True)
class _Entry:
    """One line as listed: where it stands, its text, its kind if told, how to get its pixels."""

    place: str
    label: str
    kind: int | None
    pixels: Callable[[], np.ndarray]


def fit(image: Image.Image) -> np.ndarray:
    """Scale an image of any size and mode into uint8 (32, 400), keeping its aspect.

    Transparent pixels become white. The rest is padded, right and below and above
    alike, with the median of the image's own border, so no edge is drawn.
    """
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode.startswith(("I", "F")):
        # 16-bit and float scans: Pillow's own conversion to 8 bits would clip them.
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


def _file_pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return fit(image)


def _tsv_entries(listing: Path, faults: list[str]) -> Iterator[_Entry]:
    for number, row in enumerate(listing.read_text("utf-8-sig").splitlines(), 1):
        if not row.strip():
            continue
        place = f"{listing.name}:{number}"
        name, *rest = row.split("\t")
        if not rest or len(rest) > 2 or (len(rest) == 2 and rest[1] not in KINDS):
            faults.append(f"{place}: expected file<TAB>text[<TAB>digits|letters], found {row!r}")
            continue
        path = listing.parent / name
        kind = KINDS.index(rest[1]) if len(rest) == 2 else None
        yield _Entry(f"{place} ({name})", rest[0], kind, functools.partial(_file_pixels, path))


def _icdar_entries(listing: Path, faults: list[str]) -> Iterator[_Entry]:
    for number, row in enumerate(listing.read_text("utf-8-sig").splitlines(), 1):
        if not row.strip():
            continue
        place = f"{listing.name}:{number}"
        if not (match := _ICDAR_ROW.fullmatch(row.strip())):
            faults.append(f'{place}: expected file, "text", found {row!r}')
            continue
        name, label = match["file"].strip(), match["text"].replace('\\"', '"')
        path = listing.parent / name
        yield _Entry(f"{place} ({name})", label, None, functools.partial(_file_pixels, path))


def _hdf5_entries(listing: Path, faults: list[str]) -> Iterator[_Entry]:
    import h5py

    labels = [row.strip() for row in listing.read_text("cp1251").splitlines()]
    images_path = listing.with_name("common_fields_images.h5")
    try:
        with h5py.File(images_path) as file:
            images, bits = file["images"][:], np.asarray(file["additional_bit"][:])
    except (OSError, KeyError) as error:
        faults.append(f"{images_path.name}: {error}")
        return
    bits = bits.reshape(len(bits), -1)[:, 0].astype(bool)
    if images.dtype != np.uint8 or images.shape[1:] != (HEIGHT, WIDTH) or not len(images) == len(bits) == len(labels):
        faults.append(
            f"{images_path.name}: images {images.dtype} {images.shape}, additional_bit {bits.shape} and {len(labels)} "
            f"labels; expected uint8 (N, {HEIGHT}, {WIDTH}), (N,) and N"
        )
        return
    for number, (image, bit, label) in enumerate(zip(images, bits, labels, strict=True), 1):
        yield _Entry(f"{listing.name}:{number}", label, int(bit), functools.partial(np.copy, image))


_FORMS: dict[str, Callable[[Path, list[str]], Iterator[_Entry]]] = {
    "labels.tsv": _tsv_entries,
    "gt.txt": _icdar_entries,
    "common_fields_labels.txt": _hdf5_entries,
}


def _split_of(image: np.ndarray) -> str:
    """The split an image belongs to, by its pixels alone: 80 % train, 10 % validation, 10 % test.

    Equal images fall into the same split, and adding lines moves no others.
    """
    share = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:4]) / 2**32
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"


def read_corpus(folder: Path, alphabet: str | None = None) -> Corpus:
    """Read a user's corpus.

    Args:
        folder: holds one of the three forms.
        alphabet: the characters labels may have; by default those they do have.

    Raises:
        CorpusError: no known form, or unreadable images or labels, all of them named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(f"corpus {folder}: no such folder")
    listing = next((folder / name for name in _FORMS if (folder / name).exists()), None)
    if listing is None:
        raise CorpusError(f"corpus {folder}: holds none of {', '.join(_FORMS)}")
    faults: list[str] = []
    try:
        entries = list(_FORMS[listing.name](listing, faults))
    except UnicodeDecodeError as error:
        raise CorpusError(f"corpus {folder}: {listing.name} is not {error.encoding} text: {error}") from None
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
        raise CorpusError(f"corpus {folder}: {listing.name} lists no lines")

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
        raise CorpusError(f"corpus {folder}: none of its {len(lines)} lines fell into the test split; it takes more")
    # The field corpus' name stands for the shipped artifacts and thresholds: no other corpus may bear it.
    name = folder.resolve().name
    name = f"own-{name}" if name == FIELD else name
    return Corpus(name, alphabet, content_hash(lines), test, lambda: (train, validation))
