"""The evaluation: CTC loss, CER, intervals, refused inputs."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.corpus.lines import Lines
from crnn.measure.accuracy import (
    Evaluation,
    cer_difference,
    check_outputs,
    ctc_losses,
    evaluate,
    largest_difference,
)
from crnn.text import encode, time_steps_needed


def random_log_probs(seed, count, steps, classes, scale=3.0):
    """Normalised log probabilities (N, T, C)."""
    logits = np.random.default_rng(seed).normal(0, scale, (count, steps, classes))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def lines_of(labels):
    """Lines with black images."""
    count = len(labels)
    return Lines(
        np.zeros((count, 32, 400), np.uint8),
        tuple(labels),
        np.zeros(count, np.uint8),
        ("",) * count,
        np.zeros(count, bool),
    )


def evaluation_of(edits, characters=10):
    """An evaluation with the given edits per line."""
    edits, count = np.array(edits), len(edits)
    return Evaluation(
        edits, np.full(count, characters), edits.astype(float), np.zeros((count, 50, 2), np.float32), ("",) * count
    )


problems = st.tuples(
    st.integers(0, 2**31),
    st.lists(st.text("абв", max_size=5).filter(lambda text: time_steps_needed(text) <= 8), min_size=1, max_size=4),
)


class TestCtcLoss:
    def test_sums_over_all_paths(self):
        """The loss is the negative log of the summed probabilities of all paths that decode to the label."""
        log_probs = random_log_probs(1, 1, 4, 3)
        labels = ["", "а", "аб", "аа", "баб"]
        probabilities = dict.fromkeys(labels, 0.0)
        for path in itertools.product(range(3), repeat=4):
            text = "".join(" аб"[symbol] for symbol, _ in itertools.groupby(path)).replace(" ", "")
            if text in probabilities:
                probabilities[text] += np.exp(sum(log_probs[0, step, symbol] for step, symbol in enumerate(path)))

        actual = [ctc_losses(log_probs, *encode([label], "аб"))[0] for label in labels]
        assert actual == pytest.approx([-np.log(probabilities[label]) for label in labels])

    @settings(max_examples=40, deadline=None)
    @given(problems)
    def test_agrees_with_pytorch(self, problem):
        """PyTorch's CTC loss gives the same value."""
        import torch

        seed, labels = problem
        log_probs = random_log_probs(seed, len(labels), 8, 4)
        classes, lengths = encode(labels, "абв")
        expected = torch.nn.functional.ctc_loss(
            torch.from_numpy(log_probs).transpose(0, 1),
            torch.from_numpy(classes).long(),
            torch.full((len(labels),), 8),
            torch.from_numpy(lengths).long(),
            reduction="none",
        )

        assert ctc_losses(log_probs, classes, lengths) == pytest.approx(expected.numpy(), abs=1e-9)

    @settings(max_examples=15, deadline=None)
    @given(problems)
    def test_agrees_with_tensorflow(self, problem):
        """TensorFlow's CTC loss, with blank at class 0, gives the same value."""
        from crnn.models.keras_crnn import tf

        seed, labels = problem
        log_probs = random_log_probs(seed, len(labels), 8, 4).astype(np.float32)
        # TensorFlow needs at least one column, even if all labels are empty.
        classes, lengths = encode([*labels, "а"], "абв")
        expected = tf.nn.ctc_loss(
            classes[:-1], log_probs, lengths[:-1], [8] * len(labels), logits_time_major=False, blank_index=0
        )

        assert ctc_losses(log_probs, classes[:-1], lengths[:-1]) == pytest.approx(expected.numpy(), abs=1e-4)

    def test_too_few_steps(self):
        """A label that needs more time steps than the outputs have is impossible: it has no path."""
        assert ctc_losses(random_log_probs(1, 1, 2, 3), *encode(["аа"], "аб")).tolist() == [np.inf]


class TestEvaluate:
    def test_counts(self):
        """CER, exact lines and loss are correct for outputs that decode to known texts."""
        log_probs = np.full((2, 50, 3), np.log(1e-6))
        log_probs[:, :, 0] = np.log(1 - 2e-6)
        log_probs[:, :2] = np.log([[1e-6, 1 - 2e-6, 1e-6], [1e-6, 1e-6, 1 - 2e-6]])  # both decode to "аб"
        evaluation = evaluate(log_probs.astype(np.float32), lines_of(["аб", "бб"]), "аб")

        assert (evaluation.cer, evaluation.exact_lines, evaluation.texts) == (0.25, 0.5, ("аб", "аб"))
        assert evaluation.losses[0] == pytest.approx(50 * 2e-6, abs=1e-4)

    def test_refuses_non_finite_values(self):
        """NaN in a line is an error that says how many lines are affected."""
        log_probs = random_log_probs(1, 3, 50, 3)
        log_probs[1, 7, 2] = np.nan

        with pytest.raises(ValueError, match="1 of 3 lines"):
            evaluate(log_probs, lines_of("аба"), "аб")

    def test_refuses_logits(self):
        """Unnormalised values are not accepted as log probabilities."""
        with pytest.raises(ValueError, match="are these logits"):
            check_outputs(np.ones((1, 50, 3)), 1, "аб")

    def test_refuses_probabilities(self):
        """Probabilities, such as those of a softmax in the model, are not accepted as log probabilities."""
        with pytest.raises(ValueError, match="sum to one"):
            check_outputs(np.exp(random_log_probs(1, 1, 50, 3)), 1, "аб")

    @pytest.mark.parametrize("shape", [(1, 50, 3), (2, 49, 3), (2, 50, 4)])
    def test_refuses_other_shapes(self, shape):
        """The numbers of lines, time steps and classes must be those of corpus and model."""
        with pytest.raises(ValueError, match=r"expected \(2, 50, 3\)"):
            check_outputs(random_log_probs(1, *shape), 2, "аб", 50)


class TestIntervals:
    def test_identical_variants_do_not_differ(self):
        """The difference of a variant from itself is exactly zero."""
        evaluation = evaluation_of(np.random.default_rng(1).poisson(0.2, 500))

        assert cer_difference(evaluation, evaluation) == (0.0, (0.0, 0.0))

    def test_pairing_finds_small_differences(self):
        """One more edit in three of a hundred lines is significant although the two CER intervals overlap."""
        base = np.random.default_rng(2).poisson(0.5, 1000)
        worse = base.copy()
        worse[::33] += 1
        reference, variant = evaluation_of(base), evaluation_of(worse)
        difference, (low, high) = cer_difference(variant, reference)

        assert 0 < low < difference < high
        assert variant.cer_interval()[0] < reference.cer_interval()[1]

    def test_coverage(self):
        """The 95 % interval contains the true CER in 88 to 100 of 100 samples."""
        rng = np.random.default_rng(3)
        hits = 0
        for _ in range(100):
            low, high = evaluation_of(rng.poisson(0.3, 200)).cer_interval()
            hits += low <= 0.03 <= high

        assert 88 <= hits <= 100

    def test_largest_difference_needs_equal_shapes(self):
        """Outputs of different shapes are an error and are not broadcast."""
        with pytest.raises(ValueError, match="cannot be compared"):
            largest_difference(np.zeros((2, 50, 3)), np.zeros((1, 50, 3)))
