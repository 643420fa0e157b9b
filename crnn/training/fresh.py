"""Fresh lines of the field corpus: as many training lines as wanted, drawn once and kept in chunks on disk.

Labels that the test split marks as unseen do not occur, and the typefaces are the training split's.
"""

import hashlib
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from crnn.corpus.lines import CorpusError, Lines
from crnn.corpus.synthetic import FRESH, drawn, pixels, unseen_labels
from crnn.training.loop import write_arrays

CHUNK_LINES = 4_096
"""Lines per file."""
_PROBE_LINES = 16
# A line's JPEG and label take 2.0 kB on average.
_BYTES_PER_LINE = 2_100


def is_whole(path: Path) -> bool:
    """Whether an ``.npz`` file is there and its checksums are right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (FileNotFoundError, zipfile.BadZipFile):
        return False


class FreshLines:
    """Fresh lines ``0 .. count``, in files of ``CHUNK_LINES``; ``prepare`` draws them."""

    def __init__(self, folder: Path, count: int) -> None:
        """Choose the files; nothing is drawn yet.

        Args:
            folder: where the files are kept.
            count: number of lines, a multiple of ``CHUNK_LINES``.

        Raises:
            ValueError: ``count`` is not such a multiple.
        """
        if count < CHUNK_LINES or count % CHUNK_LINES:
            raise ValueError(f"fresh lines come in chunks of {CHUNK_LINES}: {count} is no multiple of it")
        self.folder, self.chunk_lines, self.chunks = folder, CHUNK_LINES, count // CHUNK_LINES

    def prepare(self) -> str:
        """Draw the chunks that are missing or damaged.

        Returns:
            The key of the lines, which is part of the files' names: a digest of the first ones and of the labels that
            are avoided. Another generator, font or version of a library draws other lines, and so has another key.

        Raises:
            CorpusError: the disk is too full; chunks that were drawn are kept.
        """
        digest = hashlib.sha256("\0".join(sorted(unseen_labels())).encode())
        for jpeg, label, kind, _ in drawn(FRESH, range(_PROBE_LINES)):
            digest.update(jpeg + label.encode() + bytes([kind]))
        self.key = digest.hexdigest()[:16]
        missing = [index for index in range(self.chunks) if not is_whole(self.path(index))]
        # One pool of processes for all of them.
        size = self.chunk_lines
        lines = drawn(FRESH, [index * size + line for index in missing for line in range(size)])
        for done, index in enumerate(missing):
            needed = (len(missing) - done) * size * _BYTES_PER_LINE
            if (free := shutil.disk_usage(self.folder).free) < needed:
                raise CorpusError(
                    f"{len(missing) - done} chunks of fresh lines take {needed / 1e6:.0f} MB, {self.folder} has "
                    f"{free / 1e6:.0f} MB left; free some and run again: {self.chunks - len(missing) + done} are kept"
                )
            self._write(index, islice(lines, size))
        return self.key

    def path(self, index: int) -> Path:
        """The file of a chunk."""
        return self.folder / f"fresh-{self.key}-{index:04}.npz"

    def _write(self, index: int, lines: Iterable[tuple[bytes, str, int, str]]) -> None:
        """Write a chunk, whole or not at all."""
        jpegs, labels, kinds, cuts = zip(*lines, strict=True)
        write_arrays(
            self.path(index),
            {
                "jpegs": np.frombuffer(b"".join(jpegs), np.uint8),
                "ends": np.cumsum([len(jpeg) for jpeg in jpegs]),
                "labels": np.array(labels),
                "kinds": np.array(kinds, np.uint8),
                "typefaces": np.array(cuts),
            },
        )

    def chunk(self, index: int) -> Lines:
        """Read a chunk's ``CHUNK_LINES`` lines."""
        with np.load(self.path(index), allow_pickle=False) as content:
            stored = {name: content[name] for name in content.files}
        jpegs = np.split(stored["jpegs"], stored["ends"][:-1])
        return Lines(
            np.stack([pixels(jpeg.tobytes()) for jpeg in jpegs]),
            tuple(map(str, stored["labels"])),
            stored["kinds"],
            tuple(map(str, stored["typefaces"])),
            np.zeros(len(jpegs), bool),
        )

    def __iter__(self) -> Iterator[Lines]:
        """All chunks, in order."""
        return map(self.chunk, range(self.chunks))
