"""LSTMs in OpenVINO's int8 (4 minutes, idle machine)."""

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.artifacts import SHIPPED
from crnn.corpus import open_corpus
from crnn.measure.workload import Workload, evaluated
from crnn.optimize import openvino_convert
from crnn.optimize.calibration import inputs_of
from crnn.optimize.studies.common import (
    BATCH_SIZES,
    markdown,
    measured_difference,
    measured_speedups,
    rows_of,
    with_interval,
)

_CALIBRATION_LINES = 256
_FLOAT = "float"
_FORMS: dict[str, dict[str, Any]] = {
    "LSTMs in float (ov-pruned-int8)": {},
    "second LSTM in int8": {"int8_lstms": 1},
    "both LSTMs in int8": {"int8_lstms": 2},
}
# Its LSTMs have different sizes; LSTMs of the same size share their initial state.
_PARENT = "torch-channel-pruned-iterative"


def run(models: Path) -> list[dict[str, Any]]:
    """One row per form of torch-channel-pruned-iterative: CER and latency compared with OpenVINO's float32."""
    from crnn.formats import openvino_file

    corpus, rows = open_corpus(None), []
    lines = inputs_of(corpus.validation, _CALIBRATION_LINES)
    float_file, converted = models / "float.openvino", openvino_convert.model_of(SHIPPED / f"{_PARENT}.pt")
    openvino_file.write(converted, float_file)
    for index, (name, options) in enumerate(_FORMS.items()):
        path = models / f"{index}.openvino"
        openvino_file.write(openvino_convert.quantized(converted.clone(), lines, **options), path)
        with (
            evaluated(Workload(name, "openvino", str(path)), corpus) as form,
            evaluated(Workload(_FLOAT, "openvino", str(float_file)), corpus) as reference,
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
