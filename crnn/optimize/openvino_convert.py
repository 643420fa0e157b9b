"""Conversion to OpenVINO, in float or quantized to int8 after training by NNCF."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn.interface import BUILT_IN, Interface
from crnn.optimize import onnx_convert, onnx_rewrite
from crnn.optimize.calibration import batches, inputs_of
from crnn.optimize.recipe import Build

if TYPE_CHECKING:
    import openvino

# Lines per batch while the activations' ranges are collected.
_BATCH = 16
# Input of an LSTM: its initial hidden state.
_INITIAL_STATE = 1


def model_of(source: Path, *, rewritten: bool = False) -> "openvino.Model":
    """A ``.pt``, an ``.onnx`` or an ``.openvino`` file as OpenVINO's model.

    Constants are folded: the exporter reorders the gates of LSTM weights in the graph, and NNCF only quantizes
    weights that are constants.

    Args:
        source: the file.
        rewritten: whether the graph is rewritten by ``onnx_rewrite.INT8_STEPS`` first.
    """
    import onnx
    from openvino.passes import ConstantFolding, Manager

    from crnn.formats import openvino_file
    from crnn.formats.openvino_file import openvino

    with TemporaryDirectory() as folder:
        if source.suffix == ".openvino":
            model = openvino_file.read(source)
        else:
            path = onnx_convert.exported(source, Path(folder))
            if rewritten:
                graph = onnx_rewrite.rewritten_for_int8(path)
                path = Path(folder, "rewritten.onnx")
                onnx.save(graph, str(path))
            model = openvino.Core().read_model(path)
        manager = Manager()
        manager.register_pass(ConstantFolding())
        manager.run_passes(model)
    return model


def log_probs_of(source: Path) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A ``.pt`` or ``.onnx`` file as a function that OpenVINO computes in float32, for a teacher of many lines.

    Returns:
        Images float32 (B, H, W), field float32 (B, T, 2) -> log probabilities float32 (B, T, C).
    """
    from crnn.formats.openvino_file import openvino

    compiled = openvino.compile_model(model_of(source), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    return lambda images, field: request.infer({"images": images, "field": field})[0]


def convert(build: Build) -> dict[str, Any]:
    """Convert the parent, a ``.pt`` or an ``.onnx`` file, as it is."""
    from crnn.formats import openvino_file

    openvino_file.write(model_of(build.source), build.target)
    return {}


def quantize(
    build: Build,
    *,
    rewritten: bool = False,
    whole_ranges: bool = False,
    calibration_lines: int = 256,
    interface: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Convert the parent and quantize convolutions and classifier to int8, and the weights of LSTMs.

    Weights have a scale per channel; scales of activations come from validation lines. LSTMs compute in float, see
    ``quantized``.

    Args:
        build: the artifact to build.
        rewritten: whether the graph is rewritten first. Which graph is faster depends on the number of channels, see
            ``studies/openvino_int8.py``.
        whole_ranges: see ``quantized``.
        calibration_lines: number of lines that set the scales of activations.
        interface: of a user's model, see ``Interface.of``; None for the built-in one.

    Raises:
        RecipeError: no calibration line, or the parent has another alphabet.
        CorpusError: the corpus has no validation line.
    """
    parent, takes = build.teacher, None if interface is None else Interface.of(interface)
    lines = inputs_of(build.corpus.validation, calibration_lines, takes)

    from crnn.formats import openvino_file

    model = model_of(parent, rewritten=rewritten)
    openvino_file.write(quantized(model, lines, whole_ranges=whole_ranges, interface=takes or BUILT_IN), build.target)
    return {"calibration_lines": len(lines[0])}


def quantized(
    model: "openvino.Model",
    lines: tuple[np.ndarray, np.ndarray],
    *,
    int8_lstms: int = 0,
    whole_ranges: bool = False,
    interface: Interface = BUILT_IN,
) -> "openvino.Model":
    """A model in int8. Scales of activations are asymmetric: LeakyReLU leaves little below zero.

    Args:
        model: in float, with constants folded.
        lines: calibration inputs, images (N, H, W) and field (N, T, 2).
        int8_lstms: number of LSTMs that compute in int8, the last ones. The others compute in float32, with weights
            that are stored in int8: NNCF gives their initial hidden state a zero point, which OpenVINO's int8 LSTM
            does not have. LSTMs of the same size share that state, so both or none compute in int8. Not for a
            rewritten graph, where that state is a constant without a range.
            What it costs: ``studies/openvino_int8.py``.
        whole_ranges: whether ranges of activations hold all values that the lines give, as those of a training on
            rounded values do (``training/torch_int8_learner.py``). By default NNCF takes the mean of the batches'
            largest values.
        interface: of the model.

    Raises:
        ValueError: such an LSTM's initial hidden state has no range.
    """
    # Before NNCF: it switches telemetry off.
    from crnn.formats import openvino_file  # noqa: F401 isort: skip
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParameters, RangeEstimatorParametersSet

    seen = list(batches(lines, _BATCH, interface))
    settings = nncf.AdvancedQuantizationParameters(
        # Without VNNI two products are summed in 16 bits: weights of 7 bits do not overflow there.
        overflow_fix=nncf.OverflowFix.ENABLE,
        activations_range_estimator_params=(
            RangeEstimatorParametersSet.MINMAX if whole_ranges else RangeEstimatorParameters()
        ),
    )
    found = nncf.quantize(
        model,
        nncf.Dataset(seen),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(seen),
        advanced_parameters=settings,
    )
    lstms = [node for node in found.get_ordered_ops() if node.get_type_name() == "LSTMSequence"]
    for node in lstms[len(lstms) - int8_lstms :]:
        _without_zero_point(node)
    return found


def _without_zero_point(lstm: "openvino.Node") -> None:
    """Give the initial hidden state, which is zero, the range [0, 1].

    OpenVINO computes an LSTM in int8 only if that state is unsigned and has no zero point.
    """
    from openvino import opset13 as ops

    node = lstm.input_value(_INITIAL_STATE).get_node()
    while node.get_type_name() != "FakeQuantize":
        if not node.get_input_size():
            raise ValueError(f"{lstm.get_friendly_name()} cannot compute in int8: its initial state has no range")
        node = node.input_value(0).get_node()
    for position, bound in enumerate((0.0, 1.0) * 2, start=1):
        node.input(position).replace_source_output(ops.constant(np.float32(bound)).output(0))
