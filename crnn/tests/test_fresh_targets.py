"""A teacher's outputs for fresh lines, and the batches that a student learns from."""

import numpy as np
import pytest

from crnn.corpus.synthetic import FIELD_ALPHABET
from crnn.formats import pt_file
from crnn.optimize import openvino_convert
from crnn.tests.test_models import inputs, torch_model, torch_outputs
from crnn.tests.test_training import TINY, Interrupted
from crnn.text import encode
from crnn.training import fresh
from crnn.training.batches import Batch
from crnn.training.fresh import FreshLines
from crnn.training.fresh_targets import FreshTargets, fresh_batches, steps_per_epoch
from crnn.training.soft_targets import restore

SIZE, BATCH = 32, 8
CLASSES = len(FIELD_ALPHABET) + 1


class Teacher:
    """Outputs log probabilities that depend on the image, and counts its calls."""

    def __init__(self, fails_at=None):
        self.calls, self.fails_at = 0, fails_at

    def __call__(self, images, field):
        self.calls += 1
        if self.calls == self.fails_at:
            raise Interrupted
        darkness = images.mean((1, 2))[:, None, None] * np.linspace(0, 9, 50 * CLASSES).reshape(50, CLASSES)
        return (darkness - np.log(np.exp(darkness).sum(-1, keepdims=True))).astype(np.float32)


@pytest.fixture
def lines(tmp_path_factory, monkeypatch):
    """Two chunks of fresh lines; drawn once for all tests."""
    monkeypatch.setattr(fresh, "CHUNK_LINES", SIZE)
    folder = tmp_path_factory.getbasetemp() / "fresh-lines"
    folder.mkdir(exist_ok=True)
    for stored in folder.glob("*-targets-*"):
        stored.unlink()
    drawn = FreshLines(folder, 2 * SIZE)
    drawn.prepare()
    return drawn


@pytest.fixture
def file(tmp_path):
    """The teacher's file."""
    (tmp_path / "teacher.pt").write_bytes(b"weights")
    return tmp_path / "teacher.pt"


def prepared(file, lines, teacher):
    """The teacher's outputs for all chunks."""
    targets = FreshTargets(file, lambda: teacher, lines)
    targets.prepare()
    return targets


class TestStorage:
    def test_the_teacher_runs_once(self, file, lines):
        """A second preparation computes nothing."""
        first, second = Teacher(), Teacher()
        prepared(file, lines, first)
        prepared(file, lines, second)

        assert (first.calls, second.calls) == (2, 0)

    def test_another_teacher(self, file, lines):
        """The outputs of another teacher are not read."""
        prepared(file, lines, Teacher())
        file.write_bytes(b"other weights")
        other = Teacher()
        prepared(file, lines, other)

        assert other.calls == 2

    def test_an_interrupted_preparation_goes_on(self, file, lines):
        """After an interruption in the second chunk, the first one's outputs are kept."""
        with pytest.raises(Interrupted):
            prepared(file, lines, Teacher(fails_at=2))
        again = Teacher()
        prepared(file, lines, again)

        assert again.calls == 1

    def test_damaged_outputs_are_computed_again(self, file, lines):
        """A truncated file counts as missing."""
        path = prepared(file, lines, Teacher()).path(0)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        prepared(file, lines, Teacher())

        assert path.read_bytes() == whole


class TestBatches:
    def test_each_line_once(self, file, lines):
        """An epoch shows each line once, with its own label and the teacher's outputs for its own image."""
        targets = prepared(file, lines, Teacher())
        known = {image.tobytes(): label for chunk in lines for image, label in zip(chunk.images, chunk.labels)}  # noqa: B905
        shown = []
        for batch in fresh_batches(lines, targets, FIELD_ALPHABET, BATCH, 1, 0):
            stored = restore(batch.teacher_classes, batch.teacher_log_probs, CLASSES)
            best = Teacher()(batch.images, batch.field).argmax(-1)
            assert (stored.argmax(-1) == best).all()
            for image, classes, length in zip(batch.images, batch.classes, batch.lengths, strict=True):
                pixels = np.round(image * 255).astype(np.uint8).tobytes()
                expected, _ = encode((known[pixels],), FIELD_ALPHABET)
                assert (classes[:length] == expected[0]).all()
                shown.append(pixels)

        assert sorted(shown) == sorted(known)
        assert steps_per_epoch(lines, BATCH) == len(shown) // BATCH

    def test_order(self, lines):
        """The order depends on seed and epoch, and on nothing else."""

        def first(seed, epoch):
            return next(fresh_batches(lines, None, FIELD_ALPHABET, BATCH, seed, epoch)).images.tobytes()

        assert len({first(1, 0), first(1, 1), first(2, 0)}) == 3
        assert first(1, 0) == first(1, 0)

    def test_without_a_teacher(self, file, lines):
        """Batches without a teacher's outputs show the same lines in the same order."""
        targets = prepared(file, lines, Teacher())
        with_outputs, without = (
            list(fresh_batches(lines, given, FIELD_ALPHABET, BATCH, 1, 0)) for given in (targets, None)
        )

        assert {type(batch) for batch in without} == {Batch}
        for one, other in zip(with_outputs, without, strict=True):
            assert all(np.array_equal(getattr(one, part), getattr(other, part)) for part in Batch._fields)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("size", [1, 3])
def test_the_teacher_on_openvino(size, tmp_path):
    """OpenVINO computes the teacher's log probabilities, for any batch size."""
    model = torch_model(TINY)
    pt_file.save(model, tmp_path / "teacher.pt")
    lines = inputs(count=size)

    assert (
        np.abs(openvino_convert.log_probs_of(tmp_path / "teacher.pt")(*lines) - torch_outputs(model, lines)).max()
        < 1e-4
    )
