"""Steps of rewriting and int8 for ONNX Runtime, one after the other (10 minutes, idle machine)."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from crnn.artifacts import SHIPPED
from crnn.corpus import open_corpus
from crnn.measure.accuracy import largest_difference
from crnn.measure.workload import Workload, evaluated
from crnn.optimize import onnx_graph, onnx_int8, onnx_rewrite
from crnn.optimize.calibration import inputs_of
from crnn.optimize.studies.common import BATCH_SIZES, measured_difference, measured_speedups, rows_of, with_interval
from crnn.report.documents import markdown

if TYPE_CHECKING:
    import onnx

_OPTIMIZED = "optimized (ort-torch2onnx-optimized)"
_CALIBRATION_LINES = 256
Steps = Sequence[Callable[["onnx.ModelProto"], "onnx.ModelProto"]]


def _float_forms() -> dict[str, Steps]:
    """The steps of each form in float32, by name."""
    pool, scales, last = onnx_rewrite.pool_first, onnx_rewrite.fold_scales, onnx_rewrite.activate_last
    shifts, lstm = onnx_rewrite.fold_shifts, onnx_rewrite.fold_into_lstm
    return {
        _OPTIMIZED: (),
        "MaxPool before BatchNorm": (pool,),
        "and the last BatchNorm in the LSTM (ort-rewritten)": (pool, lstm),
        "scales folded, shifts added after MaxPool": (scales, pool, lstm),
        "and LeakyReLU after MaxPool": (scales, pool, last, lstm),
        "and shifts in a channel of ones": (scales, pool, last, shifts, lstm),
    }


def _int8_forms() -> dict[str, tuple[Steps, bool]]:
    """The steps of each form in int8, and whether its first block stays float, by name."""
    pool, scales, lstm = onnx_rewrite.pool_first, onnx_rewrite.fold_scales, onnx_rewrite.fold_into_lstm
    return {
        "int8, as it stands (ort-int8-static)": ((), False),
        "int8, scales folded, shifts added after MaxPool": ((scales, pool, lstm), False),
        "int8, and LeakyReLU after MaxPool": (onnx_rewrite.INT8_STEPS, False),
        "int8, and the first block in float (ort-rewritten-int8)": (onnx_rewrite.INT8_STEPS, True),
    }


def _after(model: "onnx.ModelProto", steps: Steps) -> "onnx.ModelProto":
    for step in steps:
        model = step(model)
    return model


def run(models: Path) -> list[dict[str, Any]]:
    """One row per form: differences to the optimized graph, and speed-ups over it."""
    import onnx

    corpus = open_corpus(None)
    graph, lines = onnx_graph.optimized(SHIPPED / "torch-original.pt"), inputs_of(corpus.validation, _CALIBRATION_LINES)
    paths = {name: models / f"{index}.onnx" for index, name in enumerate([*_float_forms(), *_int8_forms()])}
    for name, steps in _float_forms().items():
        onnx.save(_after(graph, steps), str(paths[name]))
    for name, (steps, float_block) in _int8_forms().items():
        operators = onnx_int8.STATIC if steps else onnx_int8.AS_IT_STANDS
        onnx_int8.quantize(_after(graph, steps), lines, paths[name], operators=operators, float_block=float_block)
    rows = []
    for name, path in paths.items():
        with (
            evaluated(Workload(name, "onnx", str(path)), corpus) as form,
            evaluated(Workload(_OPTIMIZED, "onnx", str(paths[_OPTIMIZED])), corpus) as reference,
        ):
            row = {
                "form": name,
                "log_prob_difference": largest_difference(form.evaluation.log_probs, reference.evaluation.log_probs),
                "cer_difference": measured_difference(form.evaluation, reference.evaluation),
            }
            rows.append(row | (measured_speedups(form, reference) if name != _OPTIMIZED else {}))
        tqdm.write(json.dumps(rows[-1]))
    return rows


def table() -> str:
    """Differences to the optimized graph, and speed-ups over it."""
    rows = []
    for row in rows_of("rewriting"):
        gains = [row.get(f"speedup_batch_{size}") for size in BATCH_SIZES]
        difference, change = f"{row['log_prob_difference']:.2g}", with_interval(row["cer_difference"], "+.2f", 100)
        rows.append((row["form"], difference, change, *(with_interval(gain, ".2f") if gain else "1" for gain in gains)))
    speedups = [f"speed-up, batch {size}" for size in BATCH_SIZES]
    return markdown(("form", "largest log probability difference, nats", "CER difference", *speedups), rows)
