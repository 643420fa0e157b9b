"""Offline distillation: what is stored of the teacher, what the student is trained on."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crnn.models import torch_crnn
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
    """Answers with the sums of its pictures, and counts how often it was asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, images, field):
        self.asked += 1
        logits = np.zeros((len(images), 50, 4), np.float32)
        logits[..., 1] = images.mean((1, 2))[:, None]
        return torch.from_numpy(logits).log_softmax(-1).numpy()


@pytest.fixture
def teacher(tmp_path):
    """A teacher and the file that stands for it."""
    file = tmp_path / "teacher.pt"
    file.write_bytes(b"weights")
    return Teacher(), file


class TestStorage:
    @given(st.integers(0, 2**31))
    def test_distributions_come_back(self, seed):
        """What is restored is a distribution with the teacher's probabilities of its best classes."""
        log_probs = distributions(seed).numpy()
        classes, kept = compress(log_probs)
        restored = restore(classes, kept, 20)

        assert np.exp(restored).sum(-1) == pytest.approx(np.ones((2, 5)), abs=1e-5)
        best = np.argsort(log_probs, -1)[..., -KEPT_CLASSES:]
        expected = np.exp(np.take_along_axis(log_probs, best, -1))
        assert np.exp(np.take_along_axis(restored, best, -1)) == pytest.approx(expected, abs=2e-3)

    def test_few_classes_are_all_kept(self):
        """An alphabet smaller than what is kept is stored whole."""
        log_probs = distributions(1, classes=4).numpy()

        assert restore(*compress(log_probs), 4) == pytest.approx(log_probs, abs=2e-2)

    def test_compact(self):
        """A time step takes three bytes a kept class."""
        classes, kept = compress(distributions(1).numpy())

        assert (classes.nbytes + kept.nbytes) / 10 == 3 * KEPT_CLASSES

    def test_the_teacher_is_asked_once(self, teacher, tmp_path):
        """Answers are stored: a second training, of any number of epochs, reads them."""
        answer, file = teacher
        for _ in range(2):
            targets = SoftTargets(file, answer, corpus(), SCHEDULE, tmp_path, VIEWS)
            for epoch in range(3 * VIEWS):
                list(targets.batches(epoch))

        assert answer.asked == VIEWS * 3

    def test_another_teacher_is_asked_again(self, teacher, tmp_path):
        """Stored answers belong to one teacher, corpus and order of lines."""
        answer, file = teacher
        list(SoftTargets(file, answer, corpus(), SCHEDULE, tmp_path, VIEWS).batches(0))
        file.write_bytes(b"other weights")
        list(SoftTargets(file, answer, corpus(), SCHEDULE, tmp_path, VIEWS).batches(0))
        list(SoftTargets(file, answer, corpus(2), SCHEDULE, tmp_path, VIEWS).batches(0))
        list(SoftTargets(file, answer, corpus(), Schedule(batch_size=4, seed=2), tmp_path, VIEWS).batches(0))

        assert answer.asked == 4 * 3

    def test_answers_are_for_the_pictures_that_are_shown(self, teacher, tmp_path):
        """The student sees what the teacher saw, shifted and lit alike, and other views in other epochs."""
        answer, file = teacher
        targets = SoftTargets(file, answer, corpus(), SCHEDULE, tmp_path, VIEWS)
        seen = [batch for epoch in range(VIEWS) for batch in targets.batches(epoch)]

        for batch in seen:
            given = restore(batch.teacher_classes, batch.teacher_log_probs, 4)
            assert given == pytest.approx(answer(batch.images, batch.field), abs=2e-3)
        assert not np.array_equal(seen[0].images, seen[3].images)

    def test_labels_are_those_of_the_lines(self, teacher, tmp_path):
        """Pictures and labels are the training batches of the view."""
        answer, file = teacher
        shown = list(SoftTargets(file, answer, corpus(), SCHEDULE, tmp_path, VIEWS).batches(VIEWS + 1))
        expected = list(training_batches(corpus().train, ALPHABET, 4, SCHEDULE.seed, 1))

        assert all(np.array_equal(a.classes, b.classes) for a, b in zip(shown, expected, strict=True))


class TestLoss:
    @given(st.integers(0, 2**31), st.sampled_from([1.0, 2.0, 4.0]))
    def test_no_divergence_from_oneself(self, seed, temperature):
        """A student that answers as its teacher has nothing to learn; any other has."""
        one, other = distributions(seed), distributions(seed + 1)

        assert softened_divergence(one, one, temperature).item() == pytest.approx(0, abs=1e-4)
        assert softened_divergence(other, one, temperature).item() > 0

    def test_by_hand(self):
        """At temperature 1, summed over time steps: one step of (1/2, 1/2) against (1/4, 3/4)."""
        teacher = torch.tensor([[[0.5, 0.5]]]).log()
        student = torch.tensor([[[0.25, 0.75]]]).log()
        expected = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)

        assert softened_divergence(student, teacher, 1.0).item() == pytest.approx(expected, rel=1e-5)

    def test_temperature_keeps_the_size_of_gradients(self):
        """Between nearly equal answers, twice the temperature gives gradients of the same order."""
        teacher, sizes = torch.zeros(1, 1, 3), []
        for temperature in (4.0, 8.0):
            student = torch.tensor([[[0.1, 0.0, -0.1]]], requires_grad=True)
            softened_divergence(student, teacher, temperature).backward()
            sizes.append(student.grad.norm().item())

        assert sizes[0] == pytest.approx(sizes[1], rel=0.02)

    @pytest.mark.parametrize(("labels", "soft"), [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.3, 0.7)])
    def test_parts_add_up(self, labels, soft, teacher, tmp_path):
        """The loss is the weighted sum of CTC on the labels and the divergence from the teacher."""
        answer, file = teacher
        batch = next(SoftTargets(file, answer, corpus(), SCHEDULE, tmp_path, VIEWS).batches(0))
        model = torch_model(TINY)
        parts = [TorchDistiller(model, SCHEDULE, Weighting(*w)).loss(batch).item() for w in ((1, 0), (0, 1))]
        whole = TorchDistiller(model, SCHEDULE, Weighting(labels, soft)).loss(batch).item()

        assert whole == pytest.approx(labels * parts[0] + soft * parts[1], rel=1e-5)

    def test_labels_only_is_plain_training(self, teacher, tmp_path):
        """Without the soft part an update is that of the ordinary learner."""
        answer, file = teacher
        batch = next(SoftTargets(file, answer, corpus(), SCHEDULE, tmp_path, VIEWS).batches(0))
        plain = TorchLearner(torch_model(TINY), SCHEDULE)
        distiller = TorchDistiller(torch_model(TINY), SCHEDULE, Weighting(soft=0))

        assert distiller.step(batch, 1e-3) == plain.step(Batch(*batch[:4]), 1e-3)

    def test_learns_from_answers_alone(self, teacher, tmp_path):
        """Updates on the soft outputs alone lower the divergence by more than half."""
        answer, file = teacher
        batch = next(SoftTargets(file, answer, corpus(), SCHEDULE, tmp_path, VIEWS).batches(0))
        distiller = TorchDistiller(torch_model(TINY), SCHEDULE, Weighting(labels=0))
        losses = [distiller.step(batch, 0.02) for _ in range(40)]

        assert losses[-1] < losses[0] / 2


def build_of(tmp_path, alphabet=ALPHABET, **options):
    """A build from a tiny original."""
    parent = tmp_path / "parent.pt"
    pt_file.save(torch_model(TINY), parent)
    settings = {"epochs": 1, "batch_size": 4} | options
    return Build("tiny", parent, tmp_path / "tiny.pt", corpus(), tmp_path / "tiny.npz", settings, alphabet)


class TestRecipe:
    def test_makes_the_student(self, tmp_path):
        """The artifact is a student of the fixed size; the parent's file stays as it was."""
        build = build_of(tmp_path)
        before = build.source.read_bytes()
        notes = distill(build)
        config = pt_file.load(build.target).config

        assert (config.channels, config.lstm_units) == (STUDENT_CHANNELS, STUDENT_LSTM_UNITS)
        assert notes["weighting"] == {"labels": 1.0, "soft": 1.0, "temperature": 2.0}
        assert build.source.read_bytes() == before

    def test_the_student_has_922_702_parameters(self):
        """Its size on the field alphabet."""
        config = torch_crnn.CRNNConfig(channels=STUDENT_CHANNELS, lstm_units=STUDENT_LSTM_UNITS)

        assert sum(parameter.numel() for parameter in torch_crnn.CRNN(config).parameters()) == 922_702

    @pytest.mark.parametrize("recipe", [distill, prune, prune_iteratively, cluster, static_int8])
    def test_a_parent_of_another_alphabet(self, recipe, tmp_path):
        """A teacher that reads other characters is refused, with both alphabets, before any work."""
        build = build_of(tmp_path, alphabet="xyz")

        with pytest.raises(RecipeError, match=r"reads the alphabet 'xyz', the corpus tiny is written in 'абв'"):
            recipe(build)
        assert [path.name for path in tmp_path.iterdir()] == ["parent.pt"]
