"""Fresh lines: what is drawn, kept and drawn again."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from crnn.corpus import synthetic
from crnn.corpus.lines import CorpusError
from crnn.corpus.synthetic import TYPEFACES, UNSEEN_TYPEFACE, draw_split, field_test_split
from crnn.training import fresh
from crnn.training.fresh import FreshLines

SIZE = 32


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks that take a moment to draw."""
    monkeypatch.setattr(fresh, "CHUNK_LINES", SIZE)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Two chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fresh, "CHUNK_LINES", SIZE)
        lines = FreshLines(tmp_path_factory.mktemp("fresh"), 2 * SIZE)
        lines.prepare()
    return lines


def files(folder):
    """Content of each file, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def copy(drawn, tmp_path):
    """The same chunks in a folder of the test's own."""
    shutil.copytree(drawn.folder, tmp_path, dirs_exist_ok=True)
    return FreshLines(tmp_path, 2 * SIZE)


class TestLines:
    def test_none_is_in_the_training_split(self, drawn):
        """Fresh lines are other lines than the first ones of the training split."""
        known = {image.tobytes() for image in draw_split("train", 2 * SIZE).images}

        assert known.isdisjoint(image.tobytes() for lines in drawn for image in lines.images)

    def test_another_seed_draws_other_lines(self):
        """A split drawn from another seed shares no image with the corpus's own."""
        own, other = (draw_split("test", SIZE, seed=seed).images for seed in (synthetic.SEED, 1))

        assert {image.tobytes() for image in own}.isdisjoint(image.tobytes() for image in other)

    def test_no_unseen_label(self, monkeypatch):
        """A label that the test split marks as unseen is drawn again: here all but the third label drawn are such."""
        labels = iter(("один", "два", "три"))
        monkeypatch.setattr(synthetic, "draw_label", lambda *_: (next(labels), True))
        monkeypatch.setattr(synthetic, "unseen_labels", lambda: frozenset({"один", "два"}))

        assert synthetic._draw((synthetic.FRESH, 0, 1))[1] == "три"

    def test_the_unseen_labels_are_known(self):
        """The labels that are avoided are those of the shipped split that its training split lacks, no others."""
        lines = field_test_split()
        seen, unseen = (
            {label for label, is_seen in zip(lines.labels, lines.seen, strict=True) if is_seen == kind}
            for kind in (True, False)
        )

        assert synthetic.unseen_labels() == unseen
        assert synthetic.unseen_labels().isdisjoint(seen)

    def test_other_labels_to_avoid_are_other_lines(self, copy, monkeypatch):
        """Lines that avoid other labels have another key, even if the first ones are the same."""
        before = copy.prepare()
        monkeypatch.setattr(fresh, "unseen_labels", lambda: frozenset({"один"}))
        copy.chunks = 0

        assert copy.prepare() != before

    def test_not_the_unseen_typeface(self, drawn):
        """No line is set in the typeface that is kept for testing."""
        used = {cut for lines in drawn for cut in lines.typefaces}

        assert used.isdisjoint(TYPEFACES[UNSEEN_TYPEFACE])
        assert len(used) > 5

    def test_shapes(self, drawn):
        """A chunk's lines are those of any split."""
        lines = drawn.chunk(1)

        assert lines.images.shape == (SIZE, 32, 400)
        assert (lines.images.dtype, len(lines.labels), lines.kinds.shape) == (np.uint8, SIZE, (SIZE,))


class TestFiles:
    def test_drawn_once(self, copy):
        """A second run draws nothing."""
        before = {path.name: path.stat().st_mtime_ns for path in copy.folder.iterdir()}
        copy.prepare()

        assert {path.name: path.stat().st_mtime_ns for path in copy.folder.iterdir()} == before

    @pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
    def test_a_damaged_chunk_is_drawn_again(self, copy, damage):
        """A file that is missing or damaged is drawn again, and is the same as before; the other is kept."""
        copy.prepare()
        before, path = files(copy.folder), copy.path(1)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.unlink()
        if damage != "missing":
            path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
        copy.prepare()

        assert files(copy.folder) == before

    def test_another_generator_has_another_key(self, copy, monkeypatch):
        """What another generator draws is in files of other names; those of the first are kept and not read."""
        first, original = copy.prepare(), fresh.drawn
        monkeypatch.setattr(fresh, "drawn", lambda *of: ((jpeg, "x", *rest) for jpeg, _, *rest in original(*of)))

        assert copy.prepare() != first
        assert set(copy.chunk(0).labels) == {"x"}
        assert len(files(copy.folder)) == 4

    def test_an_interrupted_run_keeps_whole_chunks(self, drawn, tmp_path, monkeypatch):
        """After an interruption in the second chunk, the first is there and nothing half-written."""
        whole, original = FreshLines(tmp_path, 2 * SIZE), fresh.drawn

        def interrupted(split, indexes):
            for index, line in zip(indexes, original(split, indexes), strict=True):
                if index == SIZE + 5:
                    raise KeyboardInterrupt
                yield line

        with monkeypatch.context() as patch:
            patch.setattr(fresh, "drawn", interrupted)
            with pytest.raises(KeyboardInterrupt):
                whole.prepare()

        assert [path.name for path in tmp_path.iterdir()] == [whole.path(0).name]
        whole.prepare()
        assert files(tmp_path) == files(drawn.folder)

    def test_a_full_disk(self, copy, monkeypatch):
        """Too little space is an error before anything is drawn; the message says how much is needed and kept."""
        copy.prepare()
        copy.path(0).unlink()
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=60_000))
        message = r"1 chunks of fresh lines take 0 MB, .* has 0 MB left; free some and run again: 1 are kept"

        with pytest.raises(CorpusError, match=message):
            copy.prepare()

    @pytest.mark.parametrize("count", [0, SIZE - 1, SIZE + 1])
    def test_whole_chunks_only(self, count, tmp_path):
        """A number of lines that is no multiple of a chunk is an error."""
        with pytest.raises(ValueError, match=f"{count} is no multiple of it"):
            FreshLines(tmp_path, count)
