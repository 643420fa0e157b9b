"""Read a user's own corpus: a folder in one of these forms.

(a) ``labels.tsv``: ``file <TAB> text`` per row, UTF-8; a third column may name the
    line's kind (``digits`` or ``letters``).
(b) ICDAR style ``gt.txt``: ``file, "text"`` per row, UTF-8.
(c) ``common_fields_images.h5`` (``images`` uint8 (N, 32, 400), ``additional_bit``
    (N,), 1 for letters) with ``common_fields_labels.txt`` (cp1251, one label per row).
(d) A Hugging Face image folder: ``metadata.csv`` or ``metadata.jsonl``, with ``file_name`` and ``text``.
(e) docTR's ``labels.json``: texts by file name, the images in ``images/``.
(f) LMDB as PaddleOCR reads it: ``data.mdb``.
(g) ``*.gt.txt`` beside each image (kraken, Calamari, OCRopus).
(h) PAGE XML or ALTO beside images of pages, whose transcribed lines are cut out.

Forms (a) to (f) may lie in the folder itself, or in folders ``train``, ``validation`` (``valid``, ``val``) and ``test``
within it: then these are the splits. Otherwise the hash of its pixels decides in which split a line is.

All files must be regular files inside the folder. Every fault is found before
anything is used, and one error names them all.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from crnn.corpus import listings
from crnn.corpus.images import aspect, fit, regular_file
from crnn.corpus.lines import HEIGHT, WIDTH, Corpus, CorpusError, Lines, content_hash, kind_of, label_faults
from crnn.corpus.listings import SPLITS, Entries, Entry, Faults
from crnn.corpus.pages import pages
from crnn.corpus.synthetic import NAME as FIELD
from crnn.interface import BUILT_IN, Interface
from crnn.text import time_steps_needed

_LISTED: dict[str, Callable[[Path, Faults], Entries]] = {
    "labels.tsv": listings.tab_separated,
    "gt.txt": listings.icdar,
    "common_fields_labels.txt": listings.hdf5,
    "metadata.csv": listings.hugging_face,
    "metadata.jsonl": listings.hugging_face,
    "labels.json": listings.docTR,
    "data.mdb": listings.lmdb,
}
"""Forms that have one listing, by its name."""
_SCATTERED: dict[str, Callable[[Path, Faults], Entries]] = {
    "*.gt.txt": listings.beside_images,
    "*.xml": pages,
}
"""Forms with a file per line or page, by their pattern."""


def _listing(folder: Path) -> str | None:
    return next((name for name in _LISTED if (folder / name).exists()), None)


def _entries(folder: Path, faults: Faults) -> list[Entry]:
    """The lines of a folder, in the first form that it has.

    Args:
        folder: resolved.
        faults: of single lines; more are added.

    Raises:
        CorpusError: it has no form, or its listing cannot be read.
    """
    if form := _listing(folder):

        def listed() -> Entries:
            regular_file(folder, form)
            return _LISTED[form](folder / form, faults)

        return _read(form, folder, listed)
    parts = {name: folder / name for name in SPLITS if (folder / name).is_dir() and _listing(folder / name)}
    if parts:
        return [
            replace(entry, place=f"{name}/{entry.place}", split=SPLITS[name])
            for name, part in parts.items()
            for entry in _entries(part, faults)
        ]
    for pattern, read in _SCATTERED.items():
        if next(folder.rglob(pattern), None):
            return _read(pattern, folder, partial(read, folder, faults))
    forms = ", ".join((*_LISTED, *_SCATTERED))
    raise CorpusError(f"corpus {folder}: holds none of {forms}; add one of them")


def _read(form: str, folder: Path, entries: Callable[[], Entries]) -> list[Entry]:
    try:
        return list(entries())
    except UnicodeDecodeError as error:
        raise CorpusError(f"corpus {folder}: {form} is not {error.encoding} text: {error}; convert it") from None
    except (OSError, ValueError) as error:
        raise CorpusError(f"corpus {folder}: {form}: {error}") from None


def _split_of(image: np.ndarray) -> str:
    """Choose an image's split by the hash of its pixels: 80 % train, 10 % validation, 10 % test.

    Equal images get the same split, and adding lines moves no others.
    """
    share = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:4]) / 2**32
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"


def _splits(entries: Sequence[Entry], images: np.ndarray) -> np.ndarray:
    """The split of each line, str (N,): as the corpus says, else by its hash.

    Where the corpus says which lines are tested but not which validate, those are some of its training lines.
    """
    given = {entry.split for entry in entries}
    found = []
    for entry, image in zip(entries, images, strict=True):
        split = entry.split or _split_of(image)
        if entry.split == "train" and "validation" not in given and _split_of(image) == "validation":
            split = "validation"
        found.append(split)
    return np.array(found)


_READING = (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError)
"""What opening a user's image raises."""
# Of the lines that are left out so many are named.
_NAMED = 5
# Of the widths and the labels a chosen width fits this share; it is a multiple of so many pixels.
_FITTING, _MULTIPLE = 0.99, 32


def _wide(entries: Sequence[Entry], height: int) -> float:
    """The width that nearly all images have at most at that height, in pixels."""
    aspects = []
    for entry in entries:
        with suppress(*_READING):  # reported when its pixels are read
            aspects.append(entry.read(aspect))
    return height * float(np.quantile(aspects or [1], _FITTING))


def width_of_images(folder: Path, height: int) -> tuple[int, str]:
    """The width that nearly all images of a corpus fit, for a model whose time steps are not known yet; and why.

    Args:
        folder: of the corpus.
        height: of the model's images, in pixels.

    Raises:
        CorpusError: the corpus has no known form, or its listing cannot be read.
    """
    wide = _wide(_entries(Path(folder).resolve(), []), height)
    width = _MULTIPLE * ceil(max(wide, 1) / _MULTIPLE)
    return (
        width,
        f"width {width}: {_FITTING:.0%} of the lines are at most {wide:.0f} pixels wide at a height of {height}",
    )


def _chosen_width(entries: Sequence[Entry], height: int) -> tuple[int, str]:
    """The width that nearly all lines fit at that height, in pixels, and why."""
    wide = _wide(entries, height)
    steps = int(np.quantile([time_steps_needed(entry.label) for entry in entries], _FITTING, method="higher"))
    needed = max(wide, steps * BUILT_IN.pixels_per_step, _MULTIPLE)
    width = _MULTIPLE * ceil(needed / _MULTIPLE)
    return width, (
        f"width {width}, {width // BUILT_IN.pixels_per_step} time steps: {_FITTING:.0%} of the lines are at most "
        f"{wide:.0f} pixels wide at a height of {height}, and their labels need at most {steps} time steps"
    )


def read_corpus(
    folder: Path,
    alphabet: str | None = None,
    *,
    models: Sequence[Interface] = (BUILT_IN,),
    height: int = HEIGHT,
    width: int | str = WIDTH,
    skip_unfit: bool = False,
) -> Corpus:
    """Read a user's corpus.

    Args:
        folder: a corpus in one of the forms above.
        alphabet: the characters that labels may have; by default those that occur.
        models: what reads it: their sizes are made, and labels that one of them has too few time steps for are faults.
        height: of the images that built-in models read, in pixels.
        width: of these images, in pixels; ``auto``: chosen so that nearly all lines fit.
        skip_unfit: whether lines that need too many time steps are left out instead.

    Raises:
        CorpusError: no known form, or unreadable files or labels; the message names all of them.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(f"corpus {folder}: no such folder")
    faults: list[str] = []
    entries, notes = _entries(folder.resolve(), faults), list[str]()
    if not entries and not faults:
        raise CorpusError(f"corpus {folder}: it lists no lines; add one row per image")
    if isinstance(width, str):
        width, why = _chosen_width(entries, height) if entries else (WIDTH, "")
        notes.append(why)
    built_in = BUILT_IN.at_size(height, width)
    described = [built_in if model == BUILT_IN else model for model in models]
    time_steps = min(model.time_steps for model in described)
    # Anchors read lines of the usual size.
    frames = dict.fromkeys([built_in.frame, *(one.frame for one in described), BUILT_IN.frame])
    needed = [time_steps_needed(entry.label) for entry in entries]
    unfit = [f"{one.place} ({need})" for one, need in zip(entries, needed, strict=True) if need > time_steps]
    left = unfit if skip_unfit else []
    if left:
        some = ", ".join(left[:_NAMED]) + (", ..." if len(left) > _NAMED else "")
        notes.append(f"{len(left)} of {len(entries)} lines need more than {time_steps} time steps, left out: {some}")
        entries = [entry for entry, need in zip(entries, needed, strict=True) if need <= time_steps]
        if not entries:
            raise CorpusError(f"corpus {folder}: no line fits {time_steps} time steps; take a larger --width")
    if alphabet is None:
        alphabet = "".join(sorted({character for entry in entries for character in entry.label}))

    read: list[list[np.ndarray]] = []
    for entry in entries:
        faults += label_faults(entry.place, entry.label, alphabet, time_steps)
        try:
            read.append(entry.read(partial(fit, frames=list(frames))))
        except _READING as error:
            faults.append(f"{entry.place}: {error}")
    if faults:
        remedy = (
            "; --width auto fits more lines, --skip-unfit leaves the others out" if unfit and not skip_unfit else ""
        )
        raise CorpusError(f"corpus {folder}: faults: {len(faults)}{remedy}\n  " + "\n  ".join(faults))

    images, *resized = (np.stack(pixels) for pixels in zip(*read, strict=True))
    splits = _splits(entries, images)
    in_training = {entry.label for entry, split in zip(entries, splits, strict=True) if split == "train"}
    lines = Lines(
        images,
        tuple(entry.label for entry in entries),
        np.array([kind_of(entry.label) if entry.kind is None else entry.kind for entry in entries], np.uint8),
        ("",) * len(entries),
        np.array([entry.label in in_training for entry in entries]),
        dict(zip(list(frames)[1:], resized, strict=True)),
        tuple(entry.file for entry in entries),
    )
    train, validation, test = (lines.take(np.flatnonzero(splits == name)) for name in ("train", "validation", "test"))
    if not len(test):
        raise CorpusError(f"corpus {folder}: no line in the test split, {len(lines)} in all; add more images")
    # The field corpus's name selects the shipped artifacts and thresholds: no other corpus may have it.
    name = folder.resolve().name
    name = f"own-{name}" if name == FIELD else name
    return Corpus(name, alphabet, content_hash(lines), test, lambda: (train, validation), left, notes)
