"""OpenVINO's int8: the rewritten graph, LSTMs in int8 (8 minutes, idle machine)."""

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.artifacts import SHIPPED
from crnn.corpus import open_corpus
from crnn.measure.workload import Workload, evaluated
from crnn.optimize import openvino_convert
from crnn.optimize.calibration import inputs_of
from crnn.optimize.studies.common import BATCH_SIZES, measured_difference, measured_speedups, rows_of, with_interval
from crnn.report.documents import markdown

_CALIBRATION_LINES = 256
_FLOAT = "float"
# Its LSTMs have different sizes; LSTMs of the same size share their initial state.
_PRUNED = "torch-channel-pruned-iterative"
# Form, parent, and whether its graph is rewritten; then the number of LSTMs that compute in int8.
_FORMS = (
    ("original, as it stands (ov-int8)", "torch-original", False, 0),
    ("original, rewritten", "torch-original", True, 0),
    ("pruned, as it stands", _PRUNED, False, 0),
    ("pruned, rewritten (ov-pruned-int8)", _PRUNED, True, 0),
    ("pruned, as it stands, second LSTM in int8", _PRUNED, False, 1),
    ("pruned, as it stands, both LSTMs in int8", _PRUNED, False, 2),
)


def run(models: Path) -> list[dict[str, Any]]:
    """One row per form: CER and latency compared with OpenVINO's float32 of the same parent."""
    from crnn.formats import openvino_file

    corpus, rows = open_corpus(None), []
    lines = inputs_of(corpus.validation, _CALIBRATION_LINES)
    for index, (name, parent, rewritten, int8_lstms) in enumerate(_FORMS):
        source, path, float_path = SHIPPED / f"{parent}.pt", models / f"{index}.openvino", models / f"{parent}.openvino"
        if not float_path.exists():
            openvino_file.write(openvino_convert.model_of(source), float_path)
        model = openvino_convert.model_of(source, rewritten=rewritten)
        openvino_file.write(openvino_convert.quantized(model, lines, int8_lstms=int8_lstms), path)
        with (
            evaluated(Workload(name, "openvino", str(path)), corpus) as form,
            evaluated(Workload(_FLOAT, "openvino", str(float_path)), corpus) as reference,
        ):
            difference = measured_difference(form.evaluation, reference.evaluation)
            row = {"form": name, "bytes": path.stat().st_size, "cer_difference": difference}
            rows.append(row | measured_speedups(form, reference))
        tqdm.write(json.dumps(rows[-1]))
    return rows


def table() -> str:
    """CER differences to OpenVINO's float32, bytes, and speed-ups over it."""
    rows = []
    for row in rows_of("openvino_int8"):
        gains = [with_interval(row[f"speedup_batch_{size}"], ".2f") for size in BATCH_SIZES]
        change = with_interval(row["cer_difference"], "+.2f", 100)
        rows.append((row["form"], f"{row['bytes'] / 1000:,.0f}", change, *gains))
    speedups = [f"speed-up, batch {size}" for size in BATCH_SIZES]
    return markdown(("int8", "kB", "CER difference", *speedups), rows)
