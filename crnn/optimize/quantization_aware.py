"""Quantization-aware training with tfmot (Jacob et al., 2018, arXiv:1712.05877), converted to LiteRT."""

from collections.abc import Sequence
from typing import Any, Unpack

from crnn.optimize.calibration import inputs_of
from crnn.optimize.litert_convert import BATCH_SIZES, check_batch_sizes, converted, for_batch_sizes
from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import ScheduleOptions, schedule_for, tuned
from crnn.training.loop import Schedule

SUPPORTED = ("Conv2D", "Dense")
"""The CRNN's kinds of layers that tfmot can train for quantization."""

_TUNING = Schedule(epochs=1, peak_learning_rate=2e-4, warmup_share=0.1)
_CALIBRATION_LINES = 256


def check_layers(names: Sequence[str]) -> None:
    """Refuse layers that tfmot has no rule for.

    Raises:
        RecipeError: one of the kinds is not in ``SUPPORTED``.
    """
    if unknown := [name for name in names if name not in SUPPORTED]:
        able = ", ".join(SUPPORTED)
        raise RecipeError(f"tfmot cannot train {', '.join(unknown)} for quantization, only {able}; others stay float")


def train(
    build: Build,
    *,
    preserve: bool = False,
    layers: Sequence[str] = SUPPORTED,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    **schedule_options: Unpack[ScheduleOptions],
) -> dict[str, Any]:
    """Train with fake quantization, then convert for each batch size.

    Convolutions compute in int8. The LSTMs are trained in float and compute on float
    activations; their weights are stored in int8, one scale per matrix.

    Args:
        build: the artifact to build.
        preserve: whether to keep the parent's zeros and clusters (PCQAT).
        layers: the kinds of layers to train for quantization.
        batch_sizes: lines per call that the file supports.
        schedule_options: override the schedule.

    Raises:
        RecipeError: a kind of layer that tfmot cannot quantize, a batch size below 1, no
            validation line, or the parent has another alphabet.
    """
    check_layers(layers)
    sizes = check_batch_sizes(batch_sizes)
    images, field = inputs_of(build.corpus.validation, _CALIBRATION_LINES)
    parent = build.teacher

    from crnn.formats import keras_file, tflite_graph
    from crnn.optimize import keras_qat
    from crnn.training.keras_learner import KerasLearner, bfloat16

    schedule, source = schedule_for(build, _TUNING, **schedule_options), keras_file.load(parent)
    model = keras_qat.quantization_aware(source, preserve, layers)
    # (N, H, W) -> (N, H, W, 1)
    keras_qat.set_ranges(model, source, (images[..., None], field))
    learner = KerasLearner(model, schedule)

    with bfloat16():
        # Nothing is saved here: the conversion has to run outside of bfloat16.
        notes = tuned(
            build, learner, schedule, lambda *_: None, settings={"preserve": preserve, "layers": list(layers)}
        )
    result = converted(keras_qat.stripped(learner.model), "dynamic")
    tflite_graph.quantize_lstm_weights(result)
    build.target.write_bytes(for_batch_sizes(result, sizes))
    return notes | {"batch_sizes": list(sizes)}
