"""What all training recipes share: the schedule for a corpus, the loop, the record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from crnn.optimize.recipe import Build
from crnn.training.batches import steps_per_epoch
from crnn.training.loop import Learner, Schedule, fit

# A corpus with fewer lines gets smaller batches, a learning rate scaled by the square root of their size,
# and more epochs: a training of 12 epochs makes at least this many updates.
_SMALL_CORPUS_LINES = 8_000
_SMALL_BATCH_SIZE = 16
_LEAST_UPDATES, _WHOLE_TRAINING_EPOCHS = 2_500, 12


class ScheduleOptions(TypedDict, total=False):
    """Options of every recipe that trains; see ``Schedule``."""

    epochs: int
    batch_size: int
    patience: int
    seed: int


def schedule_for(build: Build, default: Schedule = Schedule(), **given: Unpack[ScheduleOptions]) -> Schedule:  # noqa: B008 it is frozen
    """The default schedule, or a longer one with smaller batches for a small corpus; options override both."""
    lines = build.corpus.train
    if len(lines) >= _SMALL_CORPUS_LINES:
        return replace(default, **given)
    size = given.get("batch_size", _SMALL_BATCH_SIZE)
    updates = _LEAST_UPDATES * default.epochs / _WHOLE_TRAINING_EPOCHS
    epochs = int(-(-updates // steps_per_epoch(lines, size)))
    smaller = {
        "batch_size": _SMALL_BATCH_SIZE,
        "peak_learning_rate": default.peak_learning_rate * (_SMALL_BATCH_SIZE / default.batch_size) ** 0.5,
        "epochs": max(default.epochs, epochs),
        "patience": max(default.patience, epochs // 3),
    }
    return replace(default, **{**smaller, **given})


def lines_read(lines_count: int, epochs: int) -> float:
    """About how many lines a training reads, repeats included, that has so many epochs on a large corpus.

    Args:
        lines_count: of the training split.
        epochs: of the default schedule.
    """
    if lines_count >= _SMALL_CORPUS_LINES:
        return epochs * lines_count
    return epochs * max(lines_count, _LEAST_UPDATES * _SMALL_BATCH_SIZE / _WHOLE_TRAINING_EPOCHS)


def tuned(
    build: Build,
    learner: Learner,
    schedule: Schedule,
    save: Callable[[Any, Path], None],
    batches: Callable[[int], Iterable[Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    keep_from: int = 0,
    steps: int | None = None,
) -> dict[str, Any]:
    """Train the learner on the build's corpus and save it.

    Args:
        build: the artifact to build.
        learner: the model to train.
        schedule: of the training.
        save: writes the learner's model to a path.
        batches: yields the batches of an epoch; augmented lines by default.
        settings: what the result depends on besides the schedule; added to the record.
        keep_from: see ``loop.fit``.
        steps: see ``loop.fit``.

    Returns:
        Entries of the artifact's record about the training.
    """
    history = fit(
        learner,
        build.corpus,
        schedule,
        build.checkpoint,
        batches=batches,
        settings=settings,
        keep_from=keep_from,
        steps=steps,
    )
    save(learner.model, build.target)
    return {
        "seed": schedule.seed,
        "schedule": asdict(schedule),
        **(settings or {}),
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
    }
