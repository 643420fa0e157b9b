"""Quantization-aware training by tfmot (Jacob et al., 2018, arXiv:1712.05877), converted to LiteRT."""

from collections.abc import Sequence
from typing import Any

from crnn.optimize.litert_convert import BATCH_SIZES, calibration_lines, check_batch_sizes, converted, for_batch_sizes
from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import schedule_for, tuned
from crnn.training.loop import Schedule

SUPPORTED = ("Conv2D", "Dense")
"""The layers of the CRNN that tfmot can train for quantization."""

_TUNING = Schedule(epochs=1, peak_learning_rate=2e-4, warmup_share=0.1)
_CALIBRATION_LINES = 256


def check_layers(names: Sequence[str]) -> None:
    """Refuse layers that tfmot has no rule for.

    Raises:
        RecipeError: there are some.
    """
    if unknown := [name for name in names if name not in SUPPORTED]:
        able = ", ".join(SUPPORTED)
        raise RecipeError(f"tfmot cannot train {', '.join(unknown)} for quantization, only {able}; others stay float")


def train(build: Build) -> dict[str, Any]:
    """Train with fake quantization, then convert for each of ``batch_sizes``.

    Convolutions compute in int8. The LSTMs were trained in float and compute on float
    activations; their weights are stored in int8, one scale a matrix. With the option
    ``preserve`` the parent's zeros and clusters stay (PCQAT). ``layers`` names the kinds to
    be trained for quantization.

    Raises:
        RecipeError: a kind of layer that tfmot cannot quantize, impossible batch sizes, no
            validation line, or the parent reads another alphabet.
    """
    kinds = build.options.get("layers", SUPPORTED)
    check_layers(kinds)
    sizes = check_batch_sizes(build.options.get("batch_sizes", BATCH_SIZES))
    preserve = build.options.get("preserve", False)
    images, field = calibration_lines(build.corpus.validation, _CALIBRATION_LINES)
    parent = build.teacher

    from crnn.formats import tflite_graph
    from crnn.models import keras_crnn
    from crnn.optimize import keras_qat
    from crnn.training.keras_learner import KerasLearner, bfloat16

    schedule, source = schedule_for(build, _TUNING), keras_crnn.load(parent)
    model = keras_qat.quantization_aware(source, preserve, kinds)
    # (N, 32, 400) -> (N, 32, 400, 1)
    keras_qat.set_ranges(model, source, (images[..., None], field))
    learner = KerasLearner(model, schedule)

    with bfloat16():
        # The conversion has no place in it: the file is written afterwards.
        notes = tuned(build, learner, schedule, lambda *_: None, settings={"preserve": preserve, "layers": list(kinds)})
    result = converted(keras_qat.stripped(learner.model), "dynamic")
    tflite_graph.quantize_lstm_weights(result)
    build.target.write_bytes(for_batch_sizes(result, sizes))
    return notes | {"batch_sizes": list(sizes)}
