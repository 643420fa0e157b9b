"""Offline distillation: which teacher outputs are stored, and what the student is trained on."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crnn.formats import pt_file
from crnn.models.config import CRNNConfig
from crnn.models.torch_crnn import CRNN
from crnn.optimize.channel_pruning import prune
from crnn.optimize.clustering import cluster
from crnn.optimize.distillation import STUDENT_CHANNELS, STUDENT_LSTM_UNITS, distill
from crnn.optimize.iterative_pruning import prune as prune_iteratively
from crnn.optimize.quantization import static_int8
from crnn.optimize.recipe import Build, RecipeError
from crnn.tests.test_models import torch_model
from crnn.tests.test_training import ALPHABET, TINY, corpus
from crnn.training.batches import Batch, training_batches
from crnn.training.loop import Schedule
from crnn.training.soft_targets import KEPT_CLASSES, SoftTargets, compress, restore
from crnn.training.torch_distiller import TorchDistiller, Weighting, softened_divergence
from crnn.training.torch_learner import TorchLearner

SCHEDULE = Schedule(epochs=1, batch_size=4)
VIEWS = 4


def distributions(seed, classes=20, peak=3.0):
    """Log probabilities (2, 5, C)."""
    return torch.from_numpy(np.random.default_rng(seed).normal(0, peak, (2, 5, classes))).log_softmax(-1).float()


class Teacher:
    """Outputs that depend on the mean of each image; counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, images, field):
        self.calls += 1
        logits = np.zeros((len(images), 50, 4), np.float32)
        logits[..., 1] = images.mean((1, 2))[:, None]
        return torch.from_numpy(logits).log_softmax(-1).numpy()


@pytest.fixture
def teacher():
    """A teacher whose calls are counted."""
    return Teacher()


@pytest.fixture
def file(tmp_path):
    """The file that stands in for the teacher's weights."""
    path = tmp_path / "teacher.pt"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def targets(teacher, file, tmp_path):
    """The teacher's stored outputs for the tiny corpus."""
    return SoftTargets(file, teacher, corpus(), SCHEDULE, tmp_path, VIEWS)


class TestStorage:
    @given(st.integers(0, 2**31))
    def test_restored_distributions(self, seed):
        """Restored outputs are distributions with the teacher's probabilities for its best classes."""
        log_probs = distributions(seed).numpy()
        classes, kept = compress(log_probs)
        restored = restore(classes, kept, 20)

        assert np.exp(restored).sum(-1) == pytest.approx(np.ones((2, 5)), abs=1e-5)
        best = np.argsort(log_probs, -1)[..., -KEPT_CLASSES:]
        expected = np.exp(np.take_along_axis(log_probs, best, -1))
        assert np.exp(np.take_along_axis(restored, best, -1)) == pytest.approx(expected, abs=2e-3)

    def test_few_classes_are_all_kept(self):
        """If the alphabet has fewer classes than are kept, all are stored."""
        log_probs = distributions(1, classes=4).numpy()

        assert restore(*compress(log_probs), 4) == pytest.approx(log_probs, abs=2e-2)

    def test_compact(self):
        """A time step takes three bytes per kept class."""
        classes, kept = compress(distributions(1).numpy())

        assert (classes.nbytes + kept.nbytes) / 10 == 3 * KEPT_CLASSES

    def test_the_teacher_runs_once(self, teacher, file, tmp_path):
        """The teacher runs once: a second training, of any number of epochs, reads the stored outputs."""
        for _ in range(2):
            targets = SoftTargets(file, teacher, corpus(), SCHEDULE, tmp_path, VIEWS)
            for epoch in range(3 * VIEWS):
                list(targets.batches(epoch))

        assert teacher.calls == VIEWS * 3

    def test_stored_outputs_belong_to_one_training(self, teacher, file, tmp_path):
        """Stored outputs are not used with another teacher, corpus or order of lines."""
        list(SoftTargets(file, teacher, corpus(), SCHEDULE, tmp_path, VIEWS).batches(0))
        file.write_bytes(b"other weights")
        list(SoftTargets(file, teacher, corpus(), SCHEDULE, tmp_path, VIEWS).batches(0))
        list(SoftTargets(file, teacher, corpus(2), SCHEDULE, tmp_path, VIEWS).batches(0))
        list(SoftTargets(file, teacher, corpus(), Schedule(batch_size=4, seed=2), tmp_path, VIEWS).batches(0))

        assert teacher.calls == 4 * 3

    def test_outputs_belong_to_the_images_shown(self, teacher, targets):
        """The student sees the images that the teacher saw, with the same augmentation, and other views later."""
        seen = [batch for epoch in range(VIEWS) for batch in targets.batches(epoch)]

        for batch in seen:
            stored = restore(batch.teacher_classes, batch.teacher_log_probs, 4)
            assert stored == pytest.approx(teacher(batch.images, batch.field), abs=2e-3)
        assert not np.array_equal(seen[0].images, seen[3].images)

    def test_labels_belong_to_the_lines(self, targets):
        """Images and labels are those of the view's training batches."""
        shown = list(targets.batches(VIEWS + 1))
        expected = list(training_batches(corpus().train, ALPHABET, 4, SCHEDULE.seed, 1))

        for part in ("images", "field", "classes", "lengths"):
            assert all(np.array_equal(getattr(a, part), getattr(b, part)) for a, b in zip(shown, expected, strict=True))


class TestLoss:
    @pytest.mark.parametrize(("blanks", "weight"), [(1.0, 1.0), (0.2, 1 - 0.8 * 0.25 * 0.5), (0.0, 1 - 0.25 * 0.5)])
    def test_blanks_by_hand(self, blanks, weight):
        """A step weighs the less, the surer both are of the blank: here 1/4 and 1/2."""
        teacher = torch.tensor([[[0.5, 0.5]]]).log()
        student = torch.tensor([[[0.25, 0.75]]]).log()
        divergence = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)

        assert softened_divergence(student, teacher, 1.0, blanks).item() == pytest.approx(weight * divergence, rel=1e-5)

    @given(st.integers(0, 2**31), st.sampled_from([1.0, 2.0, 4.0]))
    def test_no_divergence_of_equals(self, seed, temperature):
        """The divergence is zero for equal distributions and positive for different ones."""
        one, other = distributions(seed), distributions(seed + 1)

        assert softened_divergence(one, one, temperature).item() == pytest.approx(0, abs=1e-4)
        assert softened_divergence(other, one, temperature).item() > 0

    def test_by_hand(self):
        """At temperature 1, the divergence of (1/2, 1/2) from (1/4, 3/4) equals a hand calculation."""
        teacher = torch.tensor([[[0.5, 0.5]]]).log()
        student = torch.tensor([[[0.25, 0.75]]]).log()
        expected = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)

        assert softened_divergence(student, teacher, 1.0).item() == pytest.approx(expected, rel=1e-5)

    def test_temperature_keeps_the_size_of_gradients(self):
        """For nearly equal distributions, doubling the temperature keeps the size of the gradients."""
        teacher, sizes = torch.zeros(1, 1, 3), []
        for temperature in (4.0, 8.0):
            student = torch.tensor([[[0.1, 0.0, -0.1]]], requires_grad=True)
            softened_divergence(student, teacher, temperature).backward()
            sizes.append(student.grad.norm().item())

        assert sizes[0] == pytest.approx(sizes[1], rel=0.02)

    @pytest.mark.parametrize(("labels", "soft"), [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.3, 0.7)])
    def test_parts_add_up(self, labels, soft, targets):
        """The loss is the weighted sum of the CTC loss on the labels and the divergence from the teacher."""
        batch = next(targets.batches(0))
        model = torch_model(TINY)
        parts = [TorchDistiller(model, SCHEDULE, Weighting(*w)).loss(batch).item() for w in ((1, 0), (0, 1))]
        whole = TorchDistiller(model, SCHEDULE, Weighting(labels, soft)).loss(batch).item()

        assert whole == pytest.approx(labels * parts[0] + soft * parts[1], rel=1e-5)

    def test_labels_only_is_plain_training(self, targets):
        """Without the soft part, the loss of a step is that of the ordinary learner."""
        batch = next(targets.batches(0))
        plain = TorchLearner(torch_model(TINY), SCHEDULE)
        distiller = TorchDistiller(torch_model(TINY), SCHEDULE, Weighting(soft=0))

        assert distiller.step(batch, 1e-3) == plain.step(Batch(*batch[:4]), 1e-3)

    def test_learns_from_soft_outputs_alone(self, targets):
        """Updates on the soft outputs alone lower the divergence by more than half."""
        batch = next(targets.batches(0))
        distiller = TorchDistiller(torch_model(TINY), SCHEDULE, Weighting(labels=0))
        losses = [distiller.step(batch, 0.02) for _ in range(40)]

        assert losses[-1] < losses[0] / 2


def build_of(tmp_path, alphabet=ALPHABET):
    """A build from a tiny original."""
    parent = tmp_path / "parent.pt"
    pt_file.save(torch_model(TINY), parent)
    return Build("tiny", parent, tmp_path / "tiny.pt", corpus(), tmp_path / "tiny.npz", alphabet)


class TestRecipe:
    def test_trains_the_student(self, tmp_path):
        """The artifact is a student of the fixed size; the parent's file is unchanged."""
        build = build_of(tmp_path)
        before = build.source.read_bytes()
        notes = distill(build, epochs=1, batch_size=4)
        config = pt_file.load(build.target).config

        assert (config.channels, config.lstm_units) == (STUDENT_CHANNELS, STUDENT_LSTM_UNITS)
        assert notes["weighting"] == {"labels": 1.0, "soft": 1.0, "temperature": 2.0, "blanks": 1.0}
        assert build.source.read_bytes() == before

    def test_the_student_has_922_702_parameters(self):
        """The student has 922,702 parameters for the alphabet of the field corpus."""
        config = CRNNConfig(channels=STUDENT_CHANNELS, lstm_units=STUDENT_LSTM_UNITS)

        assert sum(parameter.numel() for parameter in CRNN(config).parameters()) == 922_702

    @pytest.mark.parametrize("recipe", [distill, prune, prune_iteratively, cluster, static_int8])
    def test_a_parent_of_another_alphabet(self, recipe, tmp_path):
        """A teacher with another alphabet is refused before any work, with both alphabets in the message."""
        build = build_of(tmp_path, alphabet="xyz")

        with pytest.raises(RecipeError, match=r"parent\.pt reads the alphabet 'xyz', the corpus tiny has 'абв'"):
            recipe(build)
        assert [path.name for path in tmp_path.iterdir()] == ["parent.pt"]
