"""The fastest recognizer: convolutional, trained on fresh lines, then in int8.

Training data is the cheap lever: the corpus's generator draws as many labelled lines as wanted. A corpus of a user's
own has no generator; its training split is shown in augmented views instead.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from crnn.corpus.synthetic import NAME
from crnn.models.conv_config import ConvConfig
from crnn.optimize import openvino_convert
from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import ScheduleOptions, schedule_for, tuned
from crnn.training.batches import Batch
from crnn.training.fresh import FreshLines
from crnn.training.fresh_targets import FreshTargets, fresh_batches, steps_per_epoch
from crnn.training.loop import Schedule
from crnn.training.soft_targets import SoftBatch

LINES = 245_760
# An epoch is all fresh lines once. Patience is long: at a high learning rate BatchNorm's running means lag behind the
# first layer's weights, so the validation CER jumps.
SCHEDULE = Schedule(epochs=8, peak_learning_rate=3e-3, warmup_share=0.15, patience=8)
_OWN_CORPUS = Schedule(epochs=24, peak_learning_rate=3e-3, patience=24)
_INT8 = Schedule(peak_learning_rate=2e-4, warmup_share=0.1)
_VIEWS = 4


def train(
    build: Build,
    *,
    lines: int = LINES,
    image: Iterable[tuple[int, int, tuple[int, int]]] = ConvConfig.image,
    columns: Iterable[tuple[int, int, int]] = ConvConfig.columns,
    context: Iterable[int] = ConvConfig.context,
    labels: float = 1.0,
    soft: float = 0.0,
    blanks: float = 0.1,
    int8_epochs: int = 1,
    **schedule_options: Unpack[ScheduleOptions],
) -> dict[str, Any]:
    """Train a recognizer without recurrent layers on labels, if wanted on the parent's soft outputs too, then in int8.

    Fresh lines and the parent's outputs are kept beside the checkpoint, so an interrupted build goes on.

    Args:
        build: the artifact to build.
        lines: number of fresh lines, for the field corpus; 0 for augmented views of its train split.
        image: see ``ConvConfig``.
        columns: see ``ConvConfig``.
        context: see ``ConvConfig``.
        labels: weight of the CTC loss on the labels.
        soft: weight of the divergence from the parent's distribution; the parent does not run if it is 0.
        blanks: see ``Weighting``.
        int8_epochs: number of last epochs that compute on rounded values.
        schedule_options: override the schedule.

    Raises:
        RecipeError: the parent has another alphabet than the corpus, or other time steps than the student; or a batch
            is larger than a chunk of fresh lines.
        CorpusError: the disk is too full for the fresh lines.
    """
    from crnn.formats import pt_file
    from crnn.training.torch_distiller import TorchDistiller, Weighting
    from crnn.training.torch_int8_learner import Int8Learner

    teacher, corpus = build.teacher, build.corpus
    classes = len(corpus.alphabet) + 1
    try:
        layers: dict[str, Any] = {"image": tuple(image), "columns": tuple(columns), "context": tuple(context)}
        config = ConvConfig(classes=classes, height=corpus.size[0], width=corpus.width, **layers)
    except ValueError as error:
        raise RecipeError(f"the student does not fit {teacher.name}: {error}") from None
    weighting = Weighting(labels, soft, 1.0, blanks)
    settings: dict[str, Any] = {"weighting": asdict(weighting), "config": config.to_json()}
    default = SCHEDULE if corpus.name == NAME else _OWN_CORPUS
    schedule = schedule_for(build, default, **schedule_options)
    given = lessons(build, teacher if soft else None, schedule, lines)
    learner = TorchDistiller(config, schedule, weighting)
    notes = tuned(build, learner, schedule, pt_file.save, given.batches, settings | given.settings, steps=given.steps)

    if not int8_epochs:
        return notes
    last = replace(_INT8, epochs=int8_epochs, batch_size=schedule.batch_size, seed=schedule.seed)
    rounded = Int8Learner(learner.model, last, weighting)
    second = replace(build, checkpoint=build.checkpoint.with_stem(f"{build.checkpoint.stem}-int8"))
    # Not the file's hash: PyTorch writes the file's name into it.
    weights = b"".join(tensor.numpy().tobytes() for tensor in learner.model.state_dict().values())
    settings |= {"continues": sha256(weights).hexdigest(), **given.settings}
    notes["int8"] = tuned(
        second, rounded, last, lambda _, path: pt_file.save(rounded.plain(), path), given.batches, settings,
        steps=given.steps,
    )  # fmt: skip
    second.checkpoint.unlink()
    return notes


class Lessons(NamedTuple):
    """What a student is shown.

    Attributes:
        batches: yields the batches of an epoch.
        steps: their number; None for that of the train split.
        settings: what they depend on.
    """

    batches: Callable[[int], Iterable[Batch | SoftBatch]] | None
    steps: int | None
    settings: dict[str, Any]


def lessons(build: Build, teacher: Path | None, schedule: Schedule, lines: int) -> Lessons:
    """Fresh lines of the field corpus, or views of a user's own train split; with a teacher's outputs, if any.

    Args:
        build: the artifact to build; fresh lines and outputs are kept beside its checkpoint.
        teacher: a ``.pt`` file, or None.
        schedule: of the training.
        lines: see ``train``.

    Raises:
        RecipeError: a batch is larger than a chunk of fresh lines.
        CorpusError: the disk is too full for the fresh lines.
    """
    from crnn.training.torch_distiller import answers_of

    corpus, folder = build.corpus, build.checkpoint.parent
    if corpus.name != NAME or not lines:
        views = answers_of(teacher, corpus, schedule, folder, _VIEWS).batches if teacher else None
        return Lessons(views, None, {"views": _VIEWS} if teacher else {})
    fresh = FreshLines(folder, lines)
    if schedule.batch_size > fresh.chunk_lines:
        raise RecipeError(
            f"batches of {schedule.batch_size} lines are larger than a chunk of {fresh.chunk_lines} fresh lines: "
            f"give a batch size of at most {fresh.chunk_lines}"
        )
    settings = {"fresh_lines": lines, "fresh_lines_key": fresh.prepare()}
    targets = None
    if teacher:
        targets = FreshTargets(teacher, lambda: openvino_convert.log_probs_of(teacher), fresh)
        targets.prepare()

    def batches(epoch: int) -> Iterable[Batch | SoftBatch]:
        return fresh_batches(fresh, targets, corpus.alphabet, schedule.batch_size, schedule.seed, epoch)

    return Lessons(batches, steps_per_epoch(fresh, schedule.batch_size), settings)
