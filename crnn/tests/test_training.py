"""The training loop and both learners, with a tiny model on a few lines."""

import errno
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.corpus import Corpus
from crnn.corpus.lines import Lines
from crnn.models.config import CRNNConfig
from crnn.optimize.tuning import schedule_for
from crnn.training.batches import augment, steps_per_epoch, training_batches
from crnn.training.loop import CheckpointError, DivergedError, EarlyStopping, Schedule, fit, validation_cer

TINY = CRNNConfig(classes=4, channels=(2, 2, 2, 2, 4), lstm_units=(4, 4))
# For TensorFlow, which needs seconds to trace each layer.
SHALLOW = CRNNConfig(classes=4, channels=(2, 4), pools=((8, 4), (4, 2)), lstm_units=(4,))
ALPHABET = "абв"


def lines(count, seed):
    """Draw random images with random labels."""
    rng = np.random.default_rng(seed)
    labels = tuple("".join(rng.choice(list(ALPHABET), 3)) for _ in range(count))
    images = rng.integers(0, 256, (count, 32, 400), np.uint8)
    return Lines(images, labels, rng.integers(0, 2, count).astype(np.uint8), ("",) * count, np.ones(count, bool))


def corpus(seed=1, name="tiny"):
    """Make a corpus of 12 lines to train, 6 to validate and 4 to test."""
    return Corpus(name, ALPHABET, f"sha-{seed}", lines(4, seed), lambda: (lines(12, seed + 1), lines(6, seed + 2)))


def learner(framework, schedule):
    """Make a new learner."""
    if framework == "torch":
        from crnn.training.torch_learner import TorchLearner

        return TorchLearner(TINY, schedule)
    from crnn.training.keras_learner import KerasLearner

    return KerasLearner(SHALLOW, schedule)


def weights(learner):
    """Join the model's weights into one vector."""
    return np.concatenate([v.ravel() for k, v in sorted(learner.state().items()) if k.startswith("weights/")])


class Interrupted(Exception):
    """Stands in for Ctrl-C."""


class StubLearner:
    """Outputs a character in the given epochs and nothing in the others; its weight is the number of updates."""

    def __init__(self, right_in_epochs):
        self.model, self.updates, self.validations = None, 0, 0
        self._right = right_in_epochs

    def step(self, batch, learning_rate):
        self.updates += 1
        return 1.0

    def log_probs(self, images, field):
        log_probs = np.full((len(images), 50, 4), -20.0)
        log_probs[..., 0 if self.updates // 3 not in self._right else 1] = 0.0
        return log_probs

    def state(self):
        return {"weights/updates": np.array(self.updates), "optimizer/none": np.array(0)}

    def restore(self, state):
        self.updates = int(state["weights/updates"])


class TestSchedule:
    def test_one_cycle(self):
        """The rate rises from 1/25 of the peak over 30 % of the steps, then falls to 1/10,000 of it."""
        schedule = Schedule(peak_learning_rate=1.0)

        rates = [schedule.learning_rate(step, 1000) for step in (0, 300, 1000)]
        assert rates == pytest.approx([0.04, 1.0, 1e-4])

    @given(st.integers(1, 5000), st.integers(0, 5000))
    def test_rate_stays_within_the_cycle(self, steps, step):
        """The rate never exceeds the peak or falls below its final value."""
        assert 1e-4 <= Schedule(peak_learning_rate=1.0).learning_rate(min(step, steps), steps) <= 1 + 1e-9

    def test_refuses_no_epochs(self):
        """A schedule of zero epochs is an error before any work."""
        with pytest.raises(ValueError, match="epochs must be at least 1"):
            Schedule(epochs=0)

    @pytest.mark.parametrize(
        ("count", "options", "expected"),
        [
            (8_000, {}, (12, 64, 2e-3)),
            (1_600, {}, (25, 16, 1e-3)),
            (1_600, {"epochs": 3, "batch_size": 32}, (3, 32, 1e-3)),
        ],
    )
    def test_small_corpora_get_small_batches(self, count, options, expected):
        """Fewer than 8,000 lines are trained in batches of 16 for 2,500 updates; options override both."""
        schedule = schedule_for(SimpleNamespace(corpus=SimpleNamespace(train=range(count))), **options)

        assert (schedule.epochs, schedule.batch_size, schedule.peak_learning_rate) == expected


class TestEarlyStopping:
    def test_counts_from_the_best(self):
        """Training stops when the best value is ``patience`` epochs old, regardless of the values since."""
        stopping, exhausted = EarlyStopping(2), []
        for value in (0.5, 0.3, 0.4, 0.35):
            stopping.improved(value)
            exhausted.append(stopping.exhausted)

        assert (exhausted, stopping.best, stopping.best_epoch) == ([False, False, False, True], 0.3, 1)

    def test_best_weights_come_back(self, tmp_path):
        """After training, the learner has the weights of its best epoch."""
        learner = StubLearner(right_in_epochs={2})
        history = fit(
            learner, corpus(), Schedule(epochs=9, patience=3, batch_size=4), tmp_path / "c.npz", lambda _: None
        )

        assert (len(history.epochs), history.best_epoch, learner.updates) == (5, 2, 2 * 3)


class TestBatches:
    def test_epoch_covers_the_split_once(self):
        """Each line occurs once per epoch, in a different order each epoch."""
        split = lines(12, 1)
        first, second = ([tuple(b.classes.ravel()) for b in training_batches(split, ALPHABET, 4, 1, e)] for e in (0, 1))

        assert len(first) == steps_per_epoch(split, 4) == 3
        assert sorted(np.ravel(first)) == sorted(np.ravel(second))
        assert first != second

    def test_small_corpus_fills_a_batch(self):
        """A split smaller than a batch wraps around, so all steps have the same shape."""
        [batch] = training_batches(lines(3, 1), ALPHABET, 8, 1, 0)

        assert (batch.images.shape, batch.field.shape) == ((8, 32, 400), (8, 50, 2))

    def test_augmentation_depends_on_the_seed(self):
        """Equal seeds give equal images; another seed gives different ones."""
        images = lines(4, 1).images
        one, same, other = (augment(np.random.default_rng(seed), images) for seed in (5, 5, 6))

        assert (np.array_equal(one, same), np.array_equal(one, other)) == (True, False)


@pytest.mark.parametrize("framework", ["torch", "keras"])
class TestLearners:
    def test_resumed_equals_uninterrupted(self, framework, tmp_path):
        """A run that is interrupted after an epoch and resumed ends with the weights of an uninterrupted one."""
        schedule, results = Schedule(epochs=3, batch_size=4), []
        for interrupt_after in (99, 1):
            trained, said = learner(framework, schedule), []

            def say(line, said=said, stop=interrupt_after):
                said.append(line)
                if len(said) == stop:
                    raise Interrupted

            try:
                fit(trained, corpus(), schedule, tmp_path / f"{interrupt_after}.npz", say)
            except Interrupted:
                trained = learner(framework, schedule)
                fit(trained, corpus(), schedule, tmp_path / f"{interrupt_after}.npz", lambda _: None)
            results.append(weights(trained))

        assert np.array_equal(*results)

    def test_learns(self, framework):
        """Repeated updates on one batch lower its loss by more than half."""
        schedule = Schedule(batch_size=4)
        learned = learner(framework, schedule)
        batch = next(training_batches(lines(4, 1), ALPHABET, 4, 1, 0))
        losses = [learned.step(batch, 0.02) for _ in range(60)]

        assert losses[-1] < losses[0] / 2

    def test_validates_in_evaluation_mode(self, framework):
        """A line's output does not depend on the other lines of its batch."""
        learned = learner(framework, Schedule())
        learned.step(next(training_batches(lines(12, 1), ALPHABET, 4, 1, 0)), 0.01)
        split = lines(6, 3)

        assert validation_cer(learned, split, ALPHABET, 6) == validation_cer(learned, split, ALPHABET, 1)


def test_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    """If the disk fills up during a checkpoint, the previous one is kept and no partial file is left."""
    checkpoint, schedule, save, saved = tmp_path / "checkpoint.npz", Schedule(epochs=3, batch_size=4), np.savez, []

    def fill_up(file, **arrays):
        if saved:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(save(file, **arrays))

    monkeypatch.setattr(np, "savez", fill_up)
    with pytest.raises(OSError, match="No space left"):
        fit(StubLearner(set()), corpus(), schedule, checkpoint, lambda _: None)
    monkeypatch.undo()

    assert list(tmp_path.iterdir()) == [checkpoint]
    assert len(fit(StubLearner(set()), corpus(), schedule, checkpoint, lambda _: None).epochs) == 3


def test_checkpoint_of_another_corpus_is_refused(tmp_path):
    """Only a run with the same settings resumes from a checkpoint."""
    checkpoint, schedule = tmp_path / "checkpoint.npz", Schedule(epochs=2, batch_size=4)

    def interrupt(_):
        raise Interrupted

    with pytest.raises(Interrupted):
        fit(StubLearner(set()), corpus(1), schedule, checkpoint, interrupt)

    with pytest.raises(CheckpointError, match=r"belongs to a run with other settings .*; delete it to restart"):
        fit(StubLearner(set()), corpus(2), schedule, checkpoint, interrupt)
    assert checkpoint.exists()


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_training(loss, tmp_path):
    """The message names the step; the checkpoint is that of the epoch before, without the broken weights."""
    checkpoint, schedule = tmp_path / "checkpoint.npz", Schedule(epochs=3, batch_size=4)

    class Diverging(StubLearner):
        def step(self, batch, learning_rate):
            return loss if super().step(batch, learning_rate) and self.updates == 5 else 1.0

    with pytest.raises(DivergedError, match=rf"the loss of step 2 of epoch 2 is {loss}; delete .*checkpoint.npz"):
        fit(Diverging(set()), corpus(), schedule, checkpoint, lambda _: None)

    with np.load(checkpoint) as content:
        assert content["now/weights/updates"] == 3


@pytest.mark.parametrize(("sets", "half"), [(("AVX-512", "AVX512-BF16"), True), (("AVX512-BF16", "AMX-BF16"), False)])
def test_keras_trains_in_bfloat16_but_not_on_amx(sets, half, monkeypatch):
    """On AMX gradients in bfloat16 may be no numbers, so the training is in float32; the option is reset after it."""
    from crnn.training import keras_learner

    def option():
        return keras_learner.tf.config.optimizer.get_experimental_options()["auto_mixed_precision_onednn_bfloat16"]

    monkeypatch.setattr(keras_learner, "instruction_sets", lambda: sets)
    with keras_learner.bfloat16():
        within = option()

    assert (within, option()) == (half, False)
