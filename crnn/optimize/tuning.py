"""What all recipes that train have in common: the schedule for a corpus, the loop, the record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from crnn.optimize.recipe import Build
from crnn.training.batches import steps_per_epoch
from crnn.training.loop import Learner, Schedule, fit

# A corpus of fewer lines than this gets smaller batches, the learning rate scaled by the root of
# their size, and as many epochs as give a training of 12 epochs this many updates.
_SMALL_CORPUS_LINES = 8_000
_SMALL_BATCH_SIZE = 16
_LEAST_UPDATES, _WHOLE_TRAINING_EPOCHS = 2_500, 12


def schedule_for(build: Build, default: Schedule = Schedule()) -> Schedule:  # noqa: B008 it is frozen
    """The default schedule, a longer one of smaller batches for a small corpus, and what the options override."""
    given = {item.name: build.options[item.name] for item in fields(Schedule) if item.name in build.options}
    schedule = replace(default, **given)
    lines = build.corpus.train
    if len(lines) >= _SMALL_CORPUS_LINES:
        return schedule
    size = given.get("batch_size", _SMALL_BATCH_SIZE)
    updates = _LEAST_UPDATES * default.epochs / _WHOLE_TRAINING_EPOCHS
    epochs = int(-(-updates // steps_per_epoch(lines, size)))
    smaller = {
        "batch_size": _SMALL_BATCH_SIZE,
        "peak_learning_rate": default.peak_learning_rate * (_SMALL_BATCH_SIZE / default.batch_size) ** 0.5,
        "epochs": max(default.epochs, epochs),
        "patience": max(default.patience, epochs // 3),
    }
    return replace(default, **smaller | given)


def tuned(
    build: Build,
    learner: Learner,
    schedule: Schedule,
    save: Callable[[Any, Path], None],
    batches: Callable[[int], Iterable[Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    keep_from: int = 0,
) -> dict[str, Any]:
    """Train the learner on the build's corpus and save it.

    Args:
        build: what is made.
        learner: what is trained.
        schedule: how.
        save: writes the learner's model.
        batches: what the learner is given in an epoch; augmented lines by default.
        settings: what the result depends on beside the schedule; kept in the record.
        keep_from: see ``loop.fit``.

    Returns:
        What the artifact's record says of the training.
    """
    history = fit(
        learner, build.corpus, schedule, build.checkpoint, batches=batches, settings=settings, keep_from=keep_from
    )
    save(learner.model, build.target)
    return {
        "seed": schedule.seed,
        "schedule": asdict(schedule),
        **(settings or {}),
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
    }
