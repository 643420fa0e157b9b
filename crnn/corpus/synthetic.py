"""The synthetic field corpus: 16,000 training, 1,500 validation, 2,000 test lines.

The test split is shipped frozen in one file, so measuring needs no fonts and no
generator. The other two are drawn from their seed for training.

    python -m crnn draw-corpus    # draws the test split again; its hash must not change
"""

import hashlib
import importlib.util
import io
import json
import multiprocessing
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from crnn.corpus.labels import FIELD_ALPHABET, draw_label
from crnn.corpus.lines import DIGITS, LETTERS, Corpus, CorpusError, Lines, content_hash
from crnn.interface import Frame
from crnn.processor import usable_cores

NAME = "field"
SEED = 2026
SIZES = {"train": 16_000, "validation": 1_500, "test": 2_000}
FRESH = "fresh"
"""Lines beyond the splits, as many as wanted, to train on: see ``fresh.py``."""
# Part of each line's seed.
_STREAMS = (*SIZES, FRESH)
SHIPPED = Path(__file__).parents[2] / "fixtures" / "corpus" / "field-test.zip"

# Package of the typeface -> the cuts that are used. All of them have the 45 characters.
TYPEFACES = {
    "font_roboto": ("Roboto-Light", "Roboto-Regular", "Roboto-Medium", "Roboto-Bold", "Roboto-Italic"),
    "font_source_sans_pro": ("SourceSansPro-Regular", "SourceSansPro-Semibold", "SourceSansPro-Bold"),
    "font_source_serif_pro": ("SourceSerifPro-Regular", "SourceSerifPro-Semibold", "SourceSerifPro-Bold"),
    "font_manrope": ("Manrope-Regular", "Manrope-Medium", "Manrope-SemiBold"),
}
# Not used for training or validation; a quarter of the test split.
UNSEEN_TYPEFACE = "font_source_sans_pro"
_UNSEEN_SHARE = 0.25


def _font_path(package: str, cut: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CorpusError(
            f"font {cut} not found: package {package.replace('_', '-')} is not installed; install requirements.txt"
        )
    return str(Path(spec.submodule_search_locations[0]) / "files" / f"{cut}.ttf")


def _draw(task: tuple[str, int, int]) -> tuple[bytes, str, int, str]:
    """Draw a line: split (or ``FRESH``), index, seed. It depends on the task alone, not on order or process.

    Returns:
        JPEG, label, kind, typeface.
    """
    from faker import Faker

    from crnn.corpus.drawing import draw_line

    split, index, seed = task
    rng = np.random.default_rng([seed, _STREAMS.index(split), index])
    global _faker
    if _faker is None:
        _faker = Faker("ru_RU")
    label, letters = draw_label(rng, _faker)
    while split == FRESH and label in unseen_labels():
        label, letters = draw_label(rng, _faker)
    known = [package for package in TYPEFACES if package != UNSEEN_TYPEFACE]
    unseen = split == "test" and rng.random() < _UNSEEN_SHARE
    package = UNSEEN_TYPEFACE if unseen else known[rng.integers(len(known))]
    cut = TYPEFACES[package][rng.integers(len(TYPEFACES[package]))]
    jpeg = draw_line(rng, label, _font_path(package, cut), any_style=split == FRESH)
    return jpeg, label, LETTERS if letters else DIGITS, cut


_faker = None  # one per process: creating it takes longer than drawing a line


@cache
def unseen_labels() -> frozenset[str]:
    """The labels of the shipped test split that its training split lacks: no fresh line has one of them.

    Avoiding the others too would hide the most common labels from whoever trains on fresh lines.
    """
    with zipfile.ZipFile(SHIPPED) as archive:
        return frozenset(label for _, label, _, _, seen in _rows(archive) if seen == "0")


def _rows(archive: zipfile.ZipFile) -> list[list[str]]:
    """The columns of ``labels.tsv``, line by line."""
    return [row.split("\t") for row in archive.read("labels.tsv").decode().splitlines()]


def pixels(jpeg: bytes) -> np.ndarray:
    """Decode a grey JPEG, uint8 (height, width)."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(jpeg)))


def drawn(split: str, indexes: Sequence[int], seed: int = SEED) -> Iterator[tuple[bytes, str, int, str]]:
    """Draw lines of a split, or fresh ones, in order, on all cores, with a progress bar.

    Args:
        split: a split, or ``FRESH``.
        indexes: which of its lines.
        seed: of the corpus; another one draws other lines of the same kinds.

    Yields:
        JPEG, label, kind, typeface.
    """
    from tqdm import tqdm

    tasks = [(split, index, seed) for index in indexes]
    with multiprocessing.get_context("spawn").Pool(usable_cores()) as pool:
        lines = pool.imap(_draw, tasks, chunksize=64)
        yield from tqdm(lines, f"drawing {split}", len(tasks), unit="line", disable=None)


def draw_split(
    split: str, size: int | None = None, train_labels: frozenset[str] | None = None, seed: int = SEED
) -> Lines:
    """Draw one split from its seed.

    Args:
        split: ``train``, ``validation`` or ``test``.
        size: number of lines, from the first on; all by default.
        train_labels: the labels that count as seen; by default those of the split itself.
        seed: see ``drawn``.

    Raises:
        CorpusError: a font's package is not installed.
    """
    jpegs, labels, kinds, cuts = zip(*drawn(split, range(size or SIZES[split]), seed), strict=True)
    known = frozenset(labels) if train_labels is None else train_labels
    return Lines(
        np.stack([pixels(jpeg) for jpeg in jpegs]),
        labels,
        np.array(kinds, np.uint8),
        cuts,
        np.array([label in known for label in labels]),
    )


def write_test_split(path: Path = SHIPPED) -> str:
    """Draw the test split and write it as a ZIP of JPEGs and ``labels.tsv``, with a JSON beside it.

    Returns:
        The file's SHA-256.

    Raises:
        CorpusError: a font's package is not installed.
    """
    train_labels = {label for _, label, _, _ in drawn("train", range(SIZES["train"]))}
    rows = []
    temporary = path.with_suffix(".tmp")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for index, (jpeg, label, kind, cut) in enumerate(drawn("test", range(SIZES["test"]))):
                name = f"{index:04}.jpg"
                # ZipInfo has a fixed date, so the file's hash does not change.
                archive.writestr(zipfile.ZipInfo(name), jpeg)
                rows.append(f"{name}\t{label}\t{kind}\t{cut}\t{int(label in train_labels)}\n")
            archive.writestr(zipfile.ZipInfo("labels.tsv"), "".join(rows))
        sha256 = hashlib.sha256(temporary.read_bytes()).hexdigest()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    manifest = {
        "columns of labels.tsv": ["file", "label", "kind (0 digits, 1 letters)", "typeface", "label seen in training"],
        "lines": len(rows),
        "seed": SEED,
        "sha256": sha256,
        "typeface never trained on": UNSEEN_TYPEFACE,
    }
    path.with_suffix(".json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return sha256


def field_test_split(path: Path = SHIPPED) -> Lines:
    """Read the shipped test split.

    Raises:
        CorpusError: the file is missing, or its hash differs from the recorded one.
    """
    if not path.exists():
        raise CorpusError(f"{path} is missing; restore it from the repository, or run `python -m crnn draw-corpus`")
    content = path.read_bytes()
    expected = json.loads(path.with_suffix(".json").read_text())["sha256"]
    if (actual := hashlib.sha256(content).hexdigest()) != expected:
        raise CorpusError(f"{path} is corrupt: SHA-256 {actual}, expected {expected}; restore it from the repository")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names, labels, kinds, cuts, seen = zip(*_rows(archive), strict=True)
        images = np.stack([pixels(archive.read(name)) for name in names])
    return Lines(images, labels, np.array(kinds, np.uint8), cuts, np.array(seen) == "1")


def unseen_typeface(lines: Lines) -> np.ndarray:
    """Mark the lines set in the typeface that training does not use, bool (N,)."""
    return np.isin(lines.typefaces, TYPEFACES[UNSEEN_TYPEFACE])


def _training_splits() -> tuple[Lines, Lines]:
    train = draw_split("train")
    return train, draw_split("validation", train_labels=frozenset(train.labels))


def _resized(lines: Lines, frames: Sequence[Frame]) -> Lines:
    """The lines with their images in further frames."""
    if not frames:
        return lines
    from PIL import Image

    from crnn.corpus.images import fit

    made = (fit(Image.fromarray(image), frames) for image in lines.images)
    found = [np.stack(images) for images in zip(*made, strict=True)]
    return replace(lines, resized=dict(zip(frames, found, strict=True)))


def field_corpus(frames: Sequence[Frame] = ()) -> Corpus:
    """Open the field corpus; the training splits are drawn on first use (about a minute).

    Args:
        frames: further frames of the images, see ``Lines.resized``.

    Raises:
        CorpusError: the shipped test split is missing or corrupt.
    """
    test = field_test_split()

    def training() -> tuple[Lines, Lines]:
        train, validation = _training_splits()
        return _resized(train, frames), _resized(validation, frames)

    return Corpus(NAME, FIELD_ALPHABET, content_hash(test), _resized(test, frames), training)
