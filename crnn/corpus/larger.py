"""8,000 more test lines, for differences that the 2,000 shipped ones cannot decide.

They are drawn from their seed on first use, kept in a cache folder, and checked against the checksum here, so that
every machine judges by the same lines.
"""

from pathlib import Path

import numpy as np

from crnn.corpus.lines import CorpusError, Lines, content_hash
from crnn.corpus.synthetic import draw_split

COUNT, SEED = 8_000, 16_000_000
SHA256 = "d555b770d378bec3d0b257ff10c5ac9f3cf302054a25ea888021b9b1b84b278a"


def _read(path: Path) -> Lines:
    with np.load(path) as saved:
        labels, typefaces = (tuple(map(str, saved[name])) for name in ("labels", "typefaces"))
        return Lines(saved["images"], labels, saved["kinds"], typefaces, saved["seen"])


def _write(lines: Lines, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    np.savez_compressed(
        temporary,
        images=lines.images,
        labels=np.array(lines.labels),
        kinds=lines.kinds,
        typefaces=np.array(lines.typefaces),
        seen=lines.seen,
    )
    temporary.replace(path)


def larger_test_split(cache: Path) -> Lines:
    """The lines, drawn if they are not in the cache.

    Args:
        cache: folder for what is made on first use.

    Raises:
        CorpusError: a font's package is not installed, or other libraries draw other lines.
    """
    path = cache / "corpus" / f"larger-{SHA256[:12]}.npz"
    lines = _read(path) if path.exists() else draw_split("test", COUNT, seed=SEED)
    if (actual := content_hash(lines)) != SHA256:
        what = f"delete {path}" if path.exists() else "the versions in requirements.txt draw others"
        raise CorpusError(f"the larger test split has SHA-256 {actual}, expected {SHA256}: {what}")
    if not path.exists():
        _write(lines, path)
    return lines
