"""The larger test split, and comparisons by it."""

import numpy as np
import pytest

from crnn.corpus import larger
from crnn.corpus.larger import larger_test_split
from crnn.corpus.lines import CorpusError, content_hash
from crnn.corpus.synthetic import draw_split
from crnn.gate.runs import compare_runs, read
from crnn.gate.session import Gate
from crnn.measure.packing import pack
from crnn.tests.saved_runs import ACCURACY, EDITS, accuracy, run, write

COUNT = 20


@pytest.fixture
def few(monkeypatch):
    """Fewer lines, with their own checksum; counts how often they are drawn."""
    lines, drawn = draw_split("test", COUNT, seed=larger.SEED), []

    def draw(*_, **__):
        drawn.append(COUNT)
        return lines

    monkeypatch.setattr(larger, "draw_split", draw)
    monkeypatch.setattr(larger, "SHA256", content_hash(lines))
    return drawn


def test_lines_are_drawn_once(few, tmp_path):
    """The lines are drawn on first use and read from the cache afterwards."""
    first, second = (larger_test_split(tmp_path) for _ in range(2))

    assert (few, first.labels, second.labels) == ([COUNT], first.labels, first.labels)
    assert np.array_equal(first.images, second.images)


def test_damaged_lines_are_refused(few, tmp_path, monkeypatch):  # noqa: ARG001 the fixture patches the module
    """Lines that are not those of the checksum are an error that names the file."""
    larger_test_split(tmp_path)
    [file] = (tmp_path / "corpus").iterdir()
    monkeypatch.setattr(larger, "SHA256", f"{larger.SHA256[:12]}{'0' * 52}")

    with pytest.raises(CorpusError, match=f"expected {larger.SHA256}: delete {file}"):
        larger_test_split(tmp_path)


def test_other_libraries_are_named(few, tmp_path, monkeypatch):  # noqa: ARG001 the fixture patches the module
    """If freshly drawn lines differ, the versions of libraries do."""
    monkeypatch.setattr(larger, "SHA256", "0" * 64)

    with pytest.raises(CorpusError, match=r"the versions in requirements\.txt draw others"):
        larger_test_split(tmp_path)


@pytest.mark.parametrize(
    ("row", "sha256", "changed"),
    [("torch-original", "a0" * 32, False), ("torch-original", "b0" * 32, True), ("of-late", "a0" * 32, True)],
    ids=["same", "another", "new row"],
)
def test_rows_with_another_artifact_changed(tmp_path, row, sha256, changed):
    """A row whose artifact differs from the baseline's reads the larger split; without a baseline every row does."""
    baseline = read(write(tmp_path / "old.json", run()))

    assert Gate({}, baseline).changed(row, sha256) == changed
    assert Gate({}).changed(row, sha256)


class TestComparison:
    @pytest.fixture
    def verdict(self, tmp_path):
        """The verdict on the CER of a retrained model: some lines better, as many worse, and a bit more."""

        def verdict(more_lines):
            random = np.random.default_rng(1)
            more = np.where(np.arange(more_lines) % 20 == 0, 1, 0).astype(np.uint16)
            characters = pack(np.full(more_lines, 12, np.uint16))
            sides = []
            for name, shuffled in (("old", False), ("new", True)):
                small, large = (random.permutation(side) if shuffled else side for side in (EDITS, more))
                info = accuracy(small)
                if more_lines:
                    info |= {"larger_line_edits": pack(large), "larger_line_characters": characters}
                sides.append(read(write(tmp_path / f"{name}.json", run(accuracy=info))))
            found = compare_runs(*sides, {})
            return next(entry for entry in found if (entry.test, entry.measure) == (ACCURACY, "cer"))

        return verdict

    def test_few_lines_leave_a_harmless_retraining_open(self, verdict):
        """On 400 lines a model with the same CER and other errors is inconclusive at 0.1 points."""
        assert verdict(0).word == "inconclusive"

    def test_more_lines_decide_it(self, verdict):
        """With many more lines the same model is the same."""
        assert verdict(40_000).word == "same"

    def test_one_side_alone_does_not_count(self, tmp_path):
        """If only one side has read the larger split, the shipped lines alone are compared."""
        more = {"larger_line_edits": pack(EDITS), "larger_line_characters": pack(np.full(len(EDITS), 12, np.uint16))}
        sides = [
            read(write(tmp_path / f"{name}.json", run(accuracy=accuracy() | extra)))
            for name, extra in (("old", {}), ("new", more))
        ]

        assert {entry.word for entry in compare_runs(*sides, {})} == {"same"}
