"""TensorFlow's original as LiteRT's converter writes it, and with this suite's edits (10 minutes, idle machine)."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.artifacts import SHIPPED
from crnn.corpus import open_corpus
from crnn.measure.accuracy import largest_difference
from crnn.measure.workload import Workload, evaluated
from crnn.optimize.studies.common import BATCH_SIZES, measured_difference, measured_speedups, rows_of, with_interval
from crnn.report.documents import markdown

_CALIBRATION_LINES = 256
_MENDED = "cells not clipped"


def _forms() -> dict[str, tuple[bool, tuple[Callable[[Any], None], ...]]]:
    """Whether all of a form is int8, and its edits, by name; each form also gets a log softmax."""
    from crnn.formats import tflite_graph

    return {
        "as the converter leaves it": (False, ()),
        _MENDED: (False, (tflite_graph.mend_lstms,)),
        "and time steps first (litert-fp32)": (False, (tflite_graph.mend_lstms, tflite_graph.make_time_major)),
        "the converter's int8 for all of it": (True, ()),
    }


def _write(model: Any, whole_int8: bool, edits: tuple[Callable[[Any], None], ...], path: Path) -> None:
    """Convert once and write each batch size, as ``for_batch_sizes`` does, but with these edits only."""
    from crnn.formats import tflite_file, tflite_graph
    from crnn.optimize.calibration import inputs_of
    from crnn.optimize.litert_convert import left_by_converter

    lines = inputs_of(open_corpus(None).validation, _CALIBRATION_LINES) if whole_int8 else None
    made = left_by_converter(model, "dynamic" if whole_int8 else "none", lines)
    tflite_graph.append_log_softmax(made)
    models = {size: deepcopy(made) for size in BATCH_SIZES}
    for size, copy in models.items():
        tflite_file.resize(copy, size)
        for edit in edits:
            edit(copy)
    path.write_bytes(tflite_file.written(tflite_file.merged(models)))


def run(models: Path) -> list[dict[str, Any]]:
    """One row per form: CER compared with Keras, latency with the form whose cells are not clipped."""
    from crnn.formats import keras_file

    corpus, artifact = open_corpus(None), SHIPPED / "tf-original.keras"
    model, rows = keras_file.load(artifact), []
    paths = {name: models / f"{index}.tflite" for index, name in enumerate(_forms())}
    for name, (whole_int8, edits) in _forms().items():
        _write(model, whole_int8, edits, paths[name])
    with evaluated(Workload("tf-original", "tensorflow", str(artifact)), corpus) as keras:
        for name, path in paths.items():
            with (
                evaluated(Workload(name, "litert", str(path)), corpus) as form,
                evaluated(Workload(_MENDED, "litert", str(paths[_MENDED])), corpus) as mended,
            ):
                row = {
                    "form": name,
                    "log_prob_difference": largest_difference(form.evaluation.log_probs, keras.evaluation.log_probs),
                    "cer": form.evaluation.cer,
                    "cer_difference": measured_difference(form.evaluation, keras.evaluation),
                }
                rows.append(row | (measured_speedups(form, mended) if name != _MENDED else {}))
            tqdm.write(json.dumps(rows[-1]))
    return rows


def table() -> str:
    """Differences to Keras, and speed-ups over the form with cells not clipped."""
    rows = []
    for row in rows_of("conversions"):
        gains = [row.get(f"speedup_batch_{size}") for size in BATCH_SIZES]
        difference = f"{row['log_prob_difference']:.2g}"
        change = with_interval(row["cer_difference"], "+.2f", 100)
        rows.append((row["form"], difference, change, *(with_interval(gain, ".2f") if gain else "1" for gain in gains)))
    speedups = [f"speed-up, batch {size}" for size in BATCH_SIZES]
    return markdown(("form", "largest log probability difference, nats", "CER - original's", *speedups), rows)
