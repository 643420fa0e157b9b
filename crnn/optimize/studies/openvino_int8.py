"""What OpenVINO's int8 covers, and its scales (5 minutes, idle machine)."""

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
_FLOAT, _SCALED = "float", "int8 weights in both LSTMs, features scaled to at most 1"
_FORMS: dict[str, dict[str, Any]] = {
    "int8 weights in both LSTMs": {"float_lstms": 0},
    _SCALED: {"float_lstms": 0},
    "int8 weights in the second LSTM (ov-int8, ov-pruned-int8)": {},
    "the same, symmetric activations": {"symmetric": True},
    "float weights in both LSTMs": {"float_lstms": 2},
}


def _scaled(source: Path, lines: Any, target: Path) -> Path:
    """The same function: the last block's outputs divided by their largest value, the LSTM's weights times it."""
    import torch

    from crnn.formats import pt_file

    model = pt_file.load(source).eval()
    with torch.no_grad():
        largest = model.blocks(torch.from_numpy(lines[0]).unsqueeze(1)).abs().max()
        norm, lstm = model.blocks[-1].norm, model.lstms[0]
        norm.weight /= largest
        norm.bias /= largest
        lstm.weight_ih_l0[:, : len(norm.weight)] *= largest
    pt_file.save(model, target)
    return target


def run(models: Path) -> list[dict[str, Any]]:
    """One row per form: CER and latency compared with OpenVINO's float32."""
    from crnn.formats import openvino_file

    corpus, rows, source, float_file = open_corpus(None), [], SHIPPED / "torch-original.pt", models / "float.openvino"
    lines = inputs_of(corpus.validation, _CALIBRATION_LINES)
    converted = openvino_convert.model_of(source)
    openvino_file.write(converted, float_file)
    for index, (name, options) in enumerate(_FORMS.items()):
        path, model = models / f"{index}.openvino", converted.clone()
        if name == _SCALED:
            model = openvino_convert.model_of(_scaled(source, lines, models / "scaled.pt"))
        openvino_file.write(openvino_convert.quantized(model, lines, **options), path)
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
