"""Listings of a user's corpus: which line images there are, and what they say.

Each form yields its entries and adds what it cannot read to the faults; nothing is decoded yet.
"""

import csv
import functools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from crnn.corpus.images import array_image, file_image, regular_file, stored_image
from crnn.corpus.lines import HEIGHT, KINDS, WIDTH

if TYPE_CHECKING:
    import h5py

SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
"""Names of folders that hold one split, and the split."""
_ICDAR_ROW = re.compile(r'(?P<file>[^,]+),\s*"(?P<text>.*)"')
# Columns of a Hugging Face folder that may hold the text, in the order in which they are looked for.
_TEXT_COLUMNS = ("text", "transcription", "label", "ground_truth")
_IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".bin.png", ".nrm.png")


@dataclass(frozen=True)
class Entry:
    """One line as listed.

    Attributes:
        place: listing, row and file, for messages.
        label: its text.
        kind: its kind, if the corpus gives it.
        read: opens the image and returns what a function makes of it.
        split: the split that it belongs to, if the corpus says so.
        file: of the image, if the line has one of its own.
    """

    place: str
    label: str
    kind: int | None
    read: Callable[[Callable[[Any], Any]], Any]
    split: str | None = None
    file: Path | None = None

    @classmethod
    def of_file(cls, place: str, label: str, kind: int | None, folder: Path, name: str) -> Self:
        """A line with an image file of its own.

        Args:
            place: as above.
            label: as above.
            kind: as above.
            folder: that the file has to be in.
            name: of the file, relative to it.
        """
        return cls(place, label, kind, functools.partial(file_image, folder, name), file=folder / name)


Entries = Iterator[Entry]
Faults = list[str]


def _rows(listing: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each row that is not empty."""
    for number, row in enumerate(listing.read_text("utf-8-sig").splitlines(), 1):
        if row.strip():
            yield f"{listing.name}:{number}", row


def tab_separated(listing: Path, faults: Faults) -> Entries:
    """``labels.tsv``: file and text, and perhaps the kind."""
    for place, row in _rows(listing):
        name, *rest = row.split("\t")
        if not rest or len(rest) > 2 or (len(rest) == 2 and rest[1] not in KINDS):
            faults.append(f"{place}: expected file<TAB>text[<TAB>digits|letters], found {row!r}")
            continue
        kind = KINDS.index(rest[1]) if len(rest) == 2 else None
        yield Entry.of_file(f"{place} ({name})", rest[0], kind, listing.parent, name)


def icdar(listing: Path, faults: Faults) -> Entries:
    """``gt.txt``: file and quoted text."""
    for place, row in _rows(listing):
        if not (match := _ICDAR_ROW.fullmatch(row.strip())):
            faults.append(f'{place}: expected file, "text", found {row!r}')
            continue
        name, label = match["file"].strip(), match["text"].replace('\\"', '"')
        yield Entry.of_file(f"{place} ({name})", label, None, listing.parent, name)


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


def hdf5(listing: Path, faults: Faults) -> Entries:
    """``common_fields_labels.txt`` with its HDF5 file of images."""
    try:
        import h5py
    except ImportError:
        raise ValueError("reading this form needs h5py, which is not installed; install requirements.txt") from None
    labels = [row.strip() for row in listing.read_text("cp1251").splitlines()]
    name = "common_fields_images.h5"
    try:
        with h5py.File(regular_file(listing.parent, name)) as file:
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
        yield Entry(f"{listing.name}:{number}", label, int(bit), functools.partial(array_image, image))


def _metadata_rows(listing: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and columns of each row of a ``metadata.csv`` or ``metadata.jsonl``.

    Raises:
        ValueError: a row is no JSON object.
    """
    if listing.suffix == ".csv":
        with listing.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                yield f"{listing.name}:{reader.line_num}", row
        return
    for place, text in _rows(listing):
        try:
            row = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{place}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise ValueError(f"{place}: expected a JSON object, found {text[:60]!r}")  # noqa: TRY004 a user's file
        yield place, row


def hugging_face(listing: Path, faults: Faults) -> Entries:
    """``metadata.csv`` or ``metadata.jsonl`` of a Hugging Face image folder; folders of splits have one each.

    The image is in ``file_name``, the text in the first of ``text``, ``transcription``, ``label`` and ``ground_truth``.
    """
    for place, row in _metadata_rows(listing):
        name, column = row.get("file_name"), next((one for one in _TEXT_COLUMNS if row.get(one) is not None), None)
        if not isinstance(name, str) or column is None or not isinstance(row[column], str):
            faults.append(
                f"{place}: expected file_name and one of {', '.join(_TEXT_COLUMNS)}; found {', '.join(map(str, row))}"
            )
            continue
        yield Entry.of_file(f"{place} ({name})", row[column], None, listing.parent, name)


def docTR(listing: Path, faults: Faults) -> Entries:  # noqa: N802 the project's own name
    """``labels.json`` of a docTR recognition set: texts by file name, in ``images/`` or beside the listing."""
    content = json.loads(listing.read_text("utf-8-sig"))
    if not isinstance(content, dict):
        raise ValueError("expected a JSON object of texts by file name")  # noqa: TRY004 a user's file
    folder = "images/" if (listing.parent / "images").is_dir() else ""
    for name, label in content.items():
        if not isinstance(label, str):
            faults.append(f"{listing.name} ({name}): expected a text, found {label!r}")
            continue
        yield Entry.of_file(f"{listing.name} ({name})", label, None, listing.parent, f"{folder}{name}")


def beside_images(folder: Path, faults: Faults) -> Entries:
    """``*.gt.txt`` beside each image, in any subfolder, as kraken, Calamari and OCRopus have it."""
    for listing in sorted(folder.rglob("*.gt.txt")):
        place = listing.relative_to(folder).as_posix()
        stem = listing.name.removesuffix(".gt.txt")
        found = [name for suffix in _IMAGES if (name := listing.with_name(f"{stem}{suffix}")).exists()]
        if not found:
            faults.append(f"{place}: no image beside it, such as {stem}.png")
            continue
        regular_file(folder, place)
        label = listing.read_text("utf-8-sig").strip("\r\n")
        yield Entry.of_file(place, label, None, folder, found[0].relative_to(folder).as_posix())


def lmdb(listing: Path, faults: Faults) -> Entries:
    """``data.mdb`` as PaddleOCR reads it: ``num-samples``, and from 1 on ``image-%09d`` and ``label-%09d``."""
    try:
        import lmdb as engine
    except ImportError:
        raise ValueError("reading this form needs lmdb, which is not installed; install requirements.txt") from None
    try:
        # Read-only, without a lock file: the folder may be a user's archive.
        with engine.open(str(listing.parent), readonly=True, lock=False) as store, store.begin() as reading:
            count = int(reading.get(b"num-samples") or 0)
            for number in range(1, count + 1):
                image, label = (reading.get(f"{kind}-{number:09d}".encode()) for kind in ("image", "label"))
                place = f"{listing.name}:{number}"
                if image is None or label is None:
                    faults.append(f"{place}: image-{number:09d} or label-{number:09d} is missing")
                    continue
                yield Entry(place, label.decode(), None, functools.partial(stored_image, bytes(image)))
    except engine.Error as error:
        raise ValueError(f"not an LMDB database, or damaged: {error}") from None
