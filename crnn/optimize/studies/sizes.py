"""Size of TensorFlow's trained rows in each file format, raw and deflated (5 minutes)."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.artifacts import SHIPPED
from crnn.optimize.studies.baseline import cer_difference, measured
from crnn.optimize.studies.common import rows_of
from crnn.registry import VARIANTS
from crnn.report.documents import markdown

_FORMS = (
    "keras",
    "keras_deflated",
    "artifact",
    "litert_none",
    "litert_none_deflated",
    "litert_dynamic",
    "litert_dynamic_deflated",
)


def run(_: Path) -> list[dict[str, Any]]:
    """One row per trained Keras row."""
    from crnn.formats import keras_file, tflite_file
    from crnn.optimize.litert_convert import converted

    rows = []
    for variant in VARIANTS:
        if not (variant.trained and variant.suffix == ".keras"):
            continue
        file = SHIPPED / f"{variant.name}.keras"
        with zipfile.ZipFile(file) as archive:
            plain = b"".join(archive.read(member) for member in archive.namelist())
        model = keras_file.load(file)
        forms = {"keras": plain, "artifact": file.read_bytes()}
        for quantization in ("none", "dynamic"):
            one = tflite_file.merged({1: converted(model, quantization)})
            forms[f"litert_{quantization}"] = tflite_file.written(one)
        counts = {f"{form}_bytes": len(content) for form, content in forms.items()}
        deflated = {f"{form}_deflated_bytes": len(zlib.compress(content, 9)) for form, content in forms.items()}
        rows.append({"variant": variant.name, **counts, **deflated})
        tqdm.write(json.dumps(rows[-1]))
    return rows


def table() -> str:
    """Nonzero parameters, and kilobytes in each format."""
    rows, baseline = [], measured()
    for row in rows_of("sizes"):
        info = baseline[row["variant"]]
        nonzero = f"{info.footprint.parameters_nonzero_count:,}"
        sizes = (f"{row[f'{form}_bytes'] / 1e3:,.0f}" for form in _FORMS)
        rows.append((row["variant"], nonzero, cer_difference(info), *sizes))
    headings = ("row", "nonzero", "CER - original's", ".keras, kB", "deflated", "artifact", "LiteRT fp32", "deflated")
    return markdown((*headings, "LiteRT int8", "deflated"), rows)
