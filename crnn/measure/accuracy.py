"""The evaluation of every variant: CER, CTC loss, exact lines.

It uses numpy only and starts from log probabilities as a runtime returns them.
"""

import functools
from dataclasses import dataclass

import numpy as np

from crnn.corpus.lines import Lines
from crnn.measure.misreadings import confusions, worst_lines
from crnn.measure.records import Accuracy
from crnn.text import BLANK, best_path, edits, encode

RESAMPLES = 5_000
_TAIL = 0.025  # at each end of a 95 % interval
_SEED = 2026


def ctc_losses(log_probs: np.ndarray, classes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Negative log likelihood of each line, by the CTC forward recursion (Graves et al., 2006).

    Args:
        log_probs: float (N, T, C), normalized over C; no softmax is applied here.
        classes: int (N, L), padded with the blank.
        lengths: int (N,).

    Returns:
        Nats, float64 (N,); infinite where the label needs more than T time steps.
    """
    count, steps, _ = log_probs.shape
    # The label with a blank around each character: (N, L) -> (N, 2 L + 1).
    path = np.full((count, 2 * classes.shape[1] + 1), BLANK)
    path[:, 1::2] = classes
    emitted = np.take_along_axis(log_probs.astype(np.float64), path[:, None, :].repeat(steps, 1), 2)  # (N, T, 2 L + 1)
    # A transition may skip a blank between two different characters.
    skips = np.zeros(path.shape, bool)
    skips[:, 2:] = (path[:, 2:] != BLANK) & (path[:, 2:] != path[:, :-2])

    alpha = np.full(path.shape, -np.inf)
    alpha[:, :2] = emitted[:, 0, :2]
    for step in range(1, steps):
        one_back = np.pad(alpha, ((0, 0), (1, 0)), constant_values=-np.inf)[:, :-1]
        two_back = np.pad(alpha, ((0, 0), (2, 0)), constant_values=-np.inf)[:, :-2]
        entered = np.logaddexp(np.logaddexp(alpha, one_back), np.where(skips, two_back, -np.inf))
        alpha = entered + emitted[:, step]
    rows, last = np.arange(count), 2 * lengths
    # An empty label ends in its only state, any other in its last character or in the blank after it.
    before_last = np.where(lengths > 0, alpha[rows, np.maximum(last - 1, 0)], -np.inf)
    return -np.logaddexp(alpha[rows, last], before_last)


@dataclass(frozen=True)
class Evaluation:
    """How well one variant reads a split.

    Attributes:
        edits: int (N,), Levenshtein distance per line.
        characters: int (N,), length of each line's label.
        losses: float (N,), nats per line; None if the recognizer returns texts.
        log_probs: float32 (N, T, C), the evaluated outputs; or the texts, object (N,).
        texts: the N decoded texts.
    """

    edits: np.ndarray
    characters: np.ndarray
    losses: np.ndarray | None
    log_probs: np.ndarray
    texts: tuple[str, ...]

    @property
    def cer(self) -> float:
        """Edits summed over the split / reference characters summed over the split."""
        return float(self.edits.sum() / self.characters.sum())

    @property
    def loss(self) -> float | None:
        """Mean CTC loss in nats per line; None if the recognizer returns texts."""
        return None if self.losses is None else float(self.losses.mean())

    @property
    def exact_lines(self) -> float:
        """Share of lines read without an edit."""
        return float((self.edits == 0).mean())

    def cer_of(self, rows: np.ndarray) -> float | None:
        """CER over the lines selected by bool (N,); None if none is."""
        characters = self.characters[rows].sum()
        return float(self.edits[rows].sum() / characters) if characters else None

    def cer_interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the CER, lines resampled."""
        ratios = _resampled(self.edits) / _resampled(self.characters)
        return _interval(ratios)


def evaluate(log_probs: np.ndarray, lines: Lines, alphabet: str) -> Evaluation:
    """Evaluate the outputs for a split.

    Args:
        log_probs: float32 (N, T, C) of the N lines; or their texts, object (N,).
        lines: the split.
        alphabet: C - 1 characters.

    Raises:
        ValueError: the shape is wrong, or the outputs are not log probabilities.
    """
    check_outputs(log_probs, len(lines), alphabet)
    if are_texts(log_probs):
        read, characters = tuple(log_probs), np.array(list(map(len, lines.labels)))
        return Evaluation(edits(lines.labels, read), characters, None, log_probs, read)
    classes, lengths = encode(lines.labels, alphabet)
    texts = tuple(best_path(log_probs, alphabet))
    losses = ctc_losses(log_probs, classes, lengths)
    return Evaluation(edits(lines.labels, texts), lengths.astype(int), losses, log_probs, texts)


def are_texts(outputs: np.ndarray) -> bool:
    """Whether outputs are texts, object (N,), and not log probabilities."""
    return outputs.dtype == np.object_


def check_outputs(outputs: np.ndarray, lines: int, alphabet: str, time_steps: int | None = None) -> None:
    """Refuse outputs that are neither log probabilities nor texts of that many lines.

    Args:
        outputs: float32 (N, T, C) or object (N,).
        lines: N.
        alphabet: C - 1 characters.
        time_steps: T; None: any number.

    Raises:
        ValueError: the shape is wrong, a value is not finite, a time step does not sum to one, or one is no text.
    """
    if not are_texts(outputs):
        _check_shape(outputs, (lines, time_steps, len(alphabet) + 1))
        _check_log_probs(outputs)
    elif outputs.shape != (lines,) or not all(isinstance(text, str) for text in outputs):
        raise ValueError(f"outputs of shape {outputs.shape}, expected {lines} texts")


def _check_shape(log_probs: np.ndarray, expected: tuple[int | None, ...]) -> None:
    fits = len(log_probs.shape) == len(expected)
    if not fits or any(size not in (None, actual) for actual, size in zip(log_probs.shape, expected, strict=True)):
        sizes = ", ".join("any" if size is None else str(size) for size in expected)
        raise ValueError(f"log probabilities of shape {log_probs.shape}, expected ({sizes})")


def _check_log_probs(log_probs: np.ndarray) -> None:
    if not np.isfinite(log_probs).all():
        bad = int((~np.isfinite(log_probs)).any(axis=(1, 2)).sum())
        raise ValueError(f"{bad} of {len(log_probs)} lines have log probabilities that are not finite")
    worst = float(np.abs(np.exp(log_probs.astype(np.float64)).sum(-1) - 1).max(initial=0))
    if worst > 1e-3:
        raise ValueError(f"the probabilities of a time step sum to one only within {worst:.3g}: are these logits?")


@functools.cache
def _resamples(count: int) -> np.ndarray:
    """How often each of ``count`` lines is drawn in each resample, float32 (resamples, lines)."""
    return np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float32)


def _resampled(values: np.ndarray) -> np.ndarray:
    """Sums over each resample; values of the same length get the same resamples."""
    return _resamples(len(values)) @ values


def _interval(samples: np.ndarray, tail: float = _TAIL) -> tuple[float, float]:
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def paired_difference(
    after: np.ndarray, before: np.ndarray, weights: np.ndarray, tail: float
) -> tuple[float, tuple[float, float]]:
    """Difference of two weighted means over the same lines, and its paired bootstrap interval.

    Args:
        after: (N,), such as the edits of each line.
        before: (N,), of the same lines.
        weights: (N,), such as the lines' reference characters; ones for a plain mean.
        tail: probability left out at each end.
    """
    change = after.astype(float) - before
    if not change.any():
        return 0.0, (0.0, 0.0)  # no resample differs
    differences = _resampled(change) / _resampled(weights)
    return float(change.sum() / weights.sum()), _interval(differences, tail)


def cer_difference(variant: Evaluation, reference: Evaluation) -> tuple[float, tuple[float, float]]:
    """CER of the variant minus that of the reference, with its paired 95 % bootstrap interval.

    Both are resampled over the same lines, so the difficulty of the lines cancels out.
    """
    return paired_difference(variant.edits, reference.edits, variant.characters, _TAIL)


def loss_difference(variant: Evaluation, reference: Evaluation) -> tuple[float, tuple[float, float]] | None:
    """Mean CTC loss of the variant minus that of the reference, with its paired 95 % bootstrap interval.

    None if one of them returns texts.
    """
    if variant.losses is None or reference.losses is None:
        return None
    return paired_difference(variant.losses, reference.losses, np.ones(len(variant.losses)), _TAIL)


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Largest absolute difference of two outputs' log probabilities.

    Raises:
        ValueError: their shapes differ.
    """
    if one.shape != other.shape:
        raise ValueError(f"outputs of shapes {one.shape} and {other.shape} cannot be compared")
    return float(np.abs(one - other).max(initial=0))


def record(
    evaluation: Evaluation,
    lines: Lines,
    corpus_name: str,
    original: Evaluation | None = None,
    *,
    alone_because: str | None = None,
    parent_difference: float | None = None,
    larger: Evaluation | None = None,
) -> Accuracy:
    """The record of an evaluation.

    Args:
        evaluation: of the variant.
        lines: the lines that were read.
        corpus_name: the corpus that they are from.
        original: the evaluation of the variant's original.
        alone_because: why there is no original to compare with.
        parent_difference: largest difference to the parent in log probability.
        larger: the variant's evaluation on the larger test split.
    """
    from crnn.corpus.synthetic import NAME, unseen_typeface

    low, high = evaluation.cer_interval()
    unseen = ~lines.seen
    differences: dict[str, float] = {}
    if original:
        for name, unit, found in (
            ("cer_difference_to_original", "fraction", cer_difference(evaluation, original)),
            ("ctc_loss_difference_to_original", "nats_per_line", loss_difference(evaluation, original)),
        ):
            if found is None:
                continue
            change, interval = found
            ends = {f"{name}_low_{unit}": interval[0], f"{name}_high_{unit}": interval[1]}
            differences |= {f"{name}_{unit}": change, **ends}
    new_typeface = unseen_typeface(lines) if corpus_name == NAME else None
    return Accuracy(
        cer_fraction=evaluation.cer,
        cer_low_fraction=low,
        cer_high_fraction=high,
        ctc_loss_nats_per_line=evaluation.loss,
        exact_lines_fraction=evaluation.exact_lines,
        edits_count=int(evaluation.edits.sum()),
        characters_count=int(evaluation.characters.sum()),
        unseen_labels_count=int(unseen.sum()),
        cer_unseen_labels_fraction=evaluation.cer_of(unseen),
        cer_unseen_typeface_fraction=None if new_typeface is None else evaluation.cer_of(new_typeface),
        unseen_typeface_lines_count=None if new_typeface is None else int(new_typeface.sum()),
        line_edits=evaluation.edits,
        line_characters=evaluation.characters,
        line_losses_nats=evaluation.losses,
        log_prob_difference_to_parent_nats=parent_difference,
        measured_alone_because=alone_because,
        worst_lines=worst_lines(evaluation.edits, lines.labels, evaluation.texts),
        confusions=[list(found) for found in confusions(lines.labels, evaluation.texts)],
        larger_line_edits=larger.edits if larger else None,
        larger_line_characters=larger.characters if larger else None,
        **differences,
    )
