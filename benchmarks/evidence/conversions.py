"""What LiteRT's converter makes of TensorFlow's original, and what this suite makes of that.

python benchmarks/evidence/conversions.py    # on an idle machine: speed-ups are measured
"""

import json
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

from crnn.artifacts import SHIPPED
from crnn.corpus import open_corpus
from crnn.formats import tflite_file, tflite_graph
from crnn.measure.accuracy import cer_difference, judge, largest_difference
from crnn.measure.latency import FULL, Side, run_pairs, speedup, warm_up
from crnn.models import keras_crnn
from crnn.optimize.litert_convert import calibration_lines, left_by_converter
from crnn.runtimes.process import WorkerProcess

_RESULTS = Path(__file__).with_suffix(".json")
_BATCH_SIZES = (1, 32, 128)
_CALIBRATION_LINES = 256

Edit = Callable[[tflite_file.schema.ModelT], None]
_MENDED = "cells not clipped"
_FORMS: dict[str, tuple[bool, tuple[Edit, ...]]] = {
    # whether all of it is int8, and what is done to it; log softmax is appended to each
    "as the converter leaves it": (False, ()),
    _MENDED: (False, (tflite_graph.mend_lstms,)),
    "and time steps first (litert-fp32)": (False, (tflite_graph.mend_lstms, tflite_graph.make_time_major)),
    "the converter's int8 for all of it": (True, ()),
}


def _written(model: keras_crnn.keras.Model, whole_int8: bool, edits: tuple[Edit, ...], path: Path) -> None:
    """Convert once; the file gets each batch size as ``for_batch_sizes`` would give it, but with these edits alone."""
    lines = calibration_lines(open_corpus(None).validation, _CALIBRATION_LINES) if whole_int8 else None
    made = left_by_converter(model, "dynamic" if whole_int8 else "none", lines)
    tflite_graph.append_log_softmax(made)
    models = {size: deepcopy(made) for size in _BATCH_SIZES}
    for size, copy in models.items():
        tflite_file.resize(copy, size)
        for edit in edits:
            edit(copy)
    path.write_bytes(tflite_file.written(tflite_file.merged(models)))


def main() -> None:
    """Judge each form on the test split beside Keras, and time it beside the one with cells not clipped."""
    corpus, artifact = open_corpus(None), SHIPPED / "tf-original.keras"
    model, rows = keras_crnn.load(artifact), []
    with tempfile.TemporaryDirectory() as folder, WorkerProcess("tf-original") as keras:
        paths = {name: Path(folder) / f"{index}.tflite" for index, name in enumerate(_FORMS)}
        for name, (whole_int8, edits) in _FORMS.items():
            _written(model, whole_int8, edits, paths[name])
        keras.ask("load", "tensorflow", str(artifact), "cpu", {})
        keras.ask("keep", corpus.test.images, corpus.test.kinds)
        expected = judge(keras.ask("judge", 128)[0], corpus.test, corpus.alphabet)
        for name, path in paths.items():
            with WorkerProcess(name) as worker, WorkerProcess(_MENDED) as mended:
                for process, file in ((worker, path), (mended, paths[_MENDED])):
                    process.ask("load", "litert", str(file), "cpu", {})
                    process.ask("keep", corpus.test.images, corpus.test.kinds)
                found = judge(worker.ask("judge", 128)[0], corpus.test, corpus.alphabet)
                change, interval = cer_difference(found, expected)
                row = {
                    "form": name,
                    "log_prob_difference": largest_difference(found.log_probs, expected.log_probs),
                    "cer": found.cer,
                    "cer_difference": [change, *interval],
                }
                for size in _BATCH_SIZES if name != _MENDED else ():
                    sides = [Side(process, size) for process in (worker, mended)]
                    warm_up(sides, FULL)
                    run_pairs(sides, FULL)
                    gain = speedup(*sides)
                    row[f"speedup_batch_{size}"] = [gain.ratio, *(gain.interval or ())]
            rows.append(row)
            print(json.dumps(row), flush=True)  # noqa: T201 progress
    _RESULTS.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
