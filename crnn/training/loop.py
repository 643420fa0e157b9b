"""The training loop: schedule, validation, early stopping, resuming.

A learner wraps a model of one framework; everything else is here, once.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from crnn.corpus.lines import Corpus, Lines, model_inputs
from crnn.text import best_path, character_error_rate
from crnn.training.batches import Batch, steps_per_epoch, training_batches

State = dict[str, np.ndarray]


@dataclass(frozen=True)
class Schedule:
    """Training settings: AdamW with one learning-rate cycle (Smith, 2018, arXiv:1803.09820).

    Attributes:
        epochs: largest number of passes over the training split.
        batch_size: lines per step.
        peak_learning_rate: reached after ``warmup_share`` of all steps.
        warmup_share: share of the steps in which the learning rate rises.
        weight_decay: AdamW's decoupled weight decay.
        clip_norm: largest global norm of the gradients.
        patience: training stops after this many epochs without a better validation CER.
        seed: seed of weights, order and augmentation.

    Raises:
        ValueError: ``epochs``, ``batch_size`` or ``patience`` is below 1.
    """

    epochs: int = 12
    batch_size: int = 64
    peak_learning_rate: float = 2e-3
    warmup_share: float = 0.3
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    patience: int = 5
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def learning_rate(self, step: int, steps: int) -> float:
        """Compute the rate of a step: a cosine from 1/25 of the peak up to it, then one down to 1/10,000 of it."""
        peak, summit = self.peak_learning_rate, self.warmup_share * steps
        low, share = (
            (peak / 25, 1 - step / summit) if step < summit else (peak / 1e4, (step - summit) / (steps - summit))
        )
        return low + (peak - low) * (1 + np.cos(np.pi * share)) / 2


class TrainingError(RuntimeError):
    """Training cannot start or go on."""


class CheckpointError(TrainingError):
    """The checkpoint belongs to a run with other settings."""


class DivergedError(TrainingError):
    """The loss is no number any more."""


class Learner(Protocol):
    """A model in training; its interface is numpy, so the loop imports no framework."""

    model: Any

    def step(self, batch: Any, learning_rate: float) -> float:
        """Update the weights once; return the batch's mean loss in nats per line."""

    def log_probs(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Compute log probabilities float32 (B, T, C) in evaluation mode."""

    def state(self) -> State:
        """Return weights and optimizer state as arrays, weights under ``weights/``."""

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Set what ``state`` returned; the optimizer's part may be absent."""


@dataclass
class EarlyStopping:
    """Stopping rule: the best value has not improved for ``patience`` epochs."""

    patience: int
    best: float = float("inf")
    best_epoch: int = -1
    epoch: int = -1

    def improved(self, value: float) -> bool:
        """Record the next epoch's value; return whether it is the best so far."""
        self.epoch += 1
        if value < self.best:
            self.best, self.best_epoch = value, self.epoch
            return True
        return False

    @property
    def exhausted(self) -> bool:
        return self.epoch - self.best_epoch >= self.patience


@dataclass
class History:
    """Result of training.

    Attributes:
        epochs: per epoch the mean loss in nats per line, the validation CER and the seconds.
        best_epoch: the epoch whose weights were kept, counted from 1.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1


def validation_cer(learner: Learner, lines: Lines, alphabet: str, batch_size: int = 64) -> float:
    """Compute the learner's CER over a split."""
    texts: list[str] = []
    for start in range(0, len(lines), batch_size):
        rows = slice(start, start + batch_size)
        texts += best_path(learner.log_probs(*model_inputs(lines.images[rows], lines.kinds[rows])), alphabet)
    return character_error_rate(lines.labels, texts)


def write_arrays(path: Path, arrays: State) -> None:
    """Write an ``.npz`` file atomically: whole or not at all."""
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path, state: State, best: State, record: dict[str, object]) -> None:
    now = {f"now/{key}": value for key, value in state.items()}
    kept = {f"best/{key}": value for key, value in best.items()}
    write_arrays(path, {**now, **kept, "record": np.array(json.dumps(record))})


def _read(path: Path) -> tuple[State, State, dict]:
    with np.load(path, allow_pickle=False) as content:
        record = json.loads(str(content["record"]))
        now = {key[4:]: content[key] for key in content.files if key.startswith("now/")}
        best = {key[5:]: content[key] for key in content.files if key.startswith("best/")}
    return now, best, record


def fit(
    learner: Learner,
    corpus: Corpus,
    schedule: Schedule,
    checkpoint: Path,
    say: Callable[[str], None] | None = None,
    batches: Callable[[int], Iterable[Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    keep_from: int = 0,
    steps: int | None = None,
) -> History:
    """Train, validating after each epoch, and leave the best weights in the learner.

    The state is written to ``checkpoint`` after each epoch. A run that finds a
    checkpoint with the same schedule, corpus and settings resumes there and ends with
    the same weights. The checkpoint is not removed; delete it once the model is saved.

    Args:
        learner: the model in training.
        corpus: its train split is trained on, its validation split decides when to stop.
        schedule: training settings.
        checkpoint: file for the state after each epoch.
        say: receives one message per epoch; by default they are printed.
        batches: yields the batches of an epoch; by default ``training_batches``.
        settings: whatever else the result depends on, as plain JSON values.
        keep_from: the first epoch, counted from 0, whose weights may be kept. Earlier
            ones lack a property that the model must have, such as its final sparsity.
        steps: number of batches of an epoch, where they are not those of the train split.

    Raises:
        CheckpointError: the checkpoint belongs to another schedule, corpus or settings.
        DivergedError: the loss is infinite or not a number; the checkpoint stays that of the last whole epoch.
        OSError: the checkpoint cannot be written; the previous one is kept.
    """
    from tqdm import tqdm  # imported here: measuring imports this module's errors and needs no progress bar

    say = say or tqdm.write
    settings = {"schedule": asdict(schedule), "corpus_sha256": corpus.sha256, **(settings or {})}
    stopping, history = EarlyStopping(schedule.patience), History()
    best: State = {}
    if checkpoint.exists():
        state, best, record = _read(checkpoint)
        if record["settings"] != settings:
            raise CheckpointError(
                f"{checkpoint} belongs to a run with other settings ({record['settings']}); delete it to restart"
            )
        learner.restore(state)
        history.epochs = record["epochs"]
        for past in history.epochs[keep_from:]:
            stopping.improved(past["validation_cer"])
        say(f"resuming after epoch {len(history.epochs)}")

    def augmented(epoch: int) -> Iterable[Batch]:
        return training_batches(corpus.train, corpus.alphabet, schedule.batch_size, schedule.seed, epoch)

    batches = batches or augmented
    per_epoch = steps or steps_per_epoch(corpus.train, schedule.batch_size)
    for epoch in range(len(history.epochs), schedule.epochs):
        if stopping.exhausted:
            break
        started, losses = time.monotonic(), []
        with tqdm(
            batches(epoch), f"epoch {epoch + 1}/{schedule.epochs}", per_epoch, unit="step", leave=False, disable=None
        ) as bar:
            for index, batch in enumerate(bar):
                rate = schedule.learning_rate(epoch * per_epoch + index, schedule.epochs * per_epoch)
                losses.append(learner.step(batch, rate))
                if not np.isfinite(losses[-1]):
                    raise DivergedError(
                        f"training diverged: the loss of step {index + 1} of epoch {epoch + 1} is {losses[-1]}; "
                        f"delete {checkpoint} and use another seed (--seed) or a larger batch (--batch-size)"
                    )
                bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
        cer = validation_cer(learner, corpus.validation, corpus.alphabet)
        seconds = time.monotonic() - started
        history.epochs.append({"loss": float(np.mean(losses)), "validation_cer": cer, "seconds": round(seconds, 1)})
        if epoch >= keep_from and stopping.improved(cer):
            best = {key: value for key, value in learner.state().items() if key.startswith("weights/")}
        _write(checkpoint, learner.state(), best, {"settings": settings, "epochs": history.epochs})
        say(f"epoch {epoch + 1:3}  loss {np.mean(losses):8.4f}  validation CER {cer:.4f}  {seconds:.0f} s")
    learner.restore(best)
    history.best_epoch = keep_from + stopping.best_epoch + 1
    return history
