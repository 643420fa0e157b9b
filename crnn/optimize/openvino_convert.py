"""Conversion to OpenVINO, in float or quantized to int8 after training by NNCF."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from crnn.optimize import onnx_convert
from crnn.optimize.calibration import inputs_of
from crnn.optimize.recipe import Build

if TYPE_CHECKING:
    import openvino

# Lines per batch while the activations' ranges are collected.
_BATCH = 16


def _model(source: Path) -> "openvino.Model":
    """A ``.pt`` file as OpenVINO's model, by way of ONNX.

    Constants are folded: the exporter reorders the gates of LSTM weights in the graph, and NNCF only quantizes
    weights that are constants.
    """
    from openvino.passes import ConstantFolding, Manager

    from crnn.formats.openvino_file import openvino

    with TemporaryDirectory() as folder:
        exported = Path(folder, "model.onnx")
        onnx_convert.export(source, exported)
        model = openvino.Core().read_model(exported)
        manager = Manager()
        manager.register_pass(ConstantFolding())
        manager.run_passes(model)
    return model


def convert(build: Build) -> dict[str, Any]:
    """Convert the parent, a ``.pt`` file, as it is."""
    from crnn.formats import openvino_file

    openvino_file.write(_model(build.source), build.target)
    return {}


def quantize(build: Build, *, calibration_lines: int = 256) -> dict[str, Any]:
    """Convert the parent and quantize convolutions, LSTMs and classifier to int8.

    Weights have a scale per channel; scales of activations come from validation lines.

    Args:
        build: the artifact to build.
        calibration_lines: number of lines that set the scales of activations.

    Raises:
        RecipeError: no calibration line, or the parent has another alphabet.
        CorpusError: the corpus has no validation line.
    """
    parent = build.teacher
    images, field = inputs_of(build.corpus.validation, calibration_lines)

    # Before NNCF: it switches telemetry off.
    from crnn.formats import openvino_file  # isort: skip
    import nncf

    batches = [
        {"images": images[start : start + _BATCH], "field": field[start : start + _BATCH]}
        for start in range(0, len(images), _BATCH)
    ]
    settings = nncf.AdvancedQuantizationParameters(
        # Without VNNI two products are summed in 16 bits: weights of 7 bits do not overflow there.
        overflow_fix=nncf.OverflowFix.ENABLE
    )
    quantized = nncf.quantize(
        _model(parent), nncf.Dataset(batches), subset_size=len(batches), advanced_parameters=settings
    )
    openvino_file.write(quantized, build.target)
    return {"calibration_lines": len(images)}
