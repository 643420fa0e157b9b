"""Quantization of ONNX graphs after training: static int8 (QDQ), dynamic int8."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn.interface import BUILT_IN, Interface
from crnn.optimize import onnx_graph, onnx_rewrite
from crnn.optimize.calibration import batches, inputs_of
from crnn.optimize.onnx_edit import Graph
from crnn.optimize.recipe import Build

if TYPE_CHECKING:
    import onnx

# Without VNNI two products are summed in 16 bits, which overflow with weights of 8 bits: they get 7.
_REDUCE_RANGE = True
_PRODUCTS = ("MatMul", "Gemm")
_DYNAMIC = ("LSTM", *_PRODUCTS)
STATIC = ("Conv", "LeakyRelu", "MaxPool", "Add")
"""Types of nodes that get static scales in a rewritten graph."""
AS_IT_STANDS = ("Conv", "Relu")
"""Those in a graph as it stands: a ReLU becomes part of the convolution; behind a LeakyReLU is a float BatchNorm."""
# Lines per batch while the activations' ranges are collected.
_BATCH = 32


def dynamic(build: Build) -> dict[str, Any]:
    """Quantize LSTMs and classifier of the parent, an ``.onnx`` file; activation scales are computed per batch."""
    _dynamic(build.source, build.target)
    return {}


def static(
    build: Build, *, rewritten: bool, calibration_lines: int = 256, interface: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Quantize convolutions per channel with activation scales from validation lines, then LSTMs dynamically.

    ONNX Runtime has no LSTM with static scales. A graph without LSTMs gets no dynamic scales; there a user's matrix
    products get static ones.

    Args:
        build: the artifact to build; the parent is a ``.pt`` file or an ``.onnx`` file.
        rewritten: whether the graph is rewritten first, so that no BatchNorm is left between quantized operators,
            and the first block stays float: its convolution has one input channel, too few for an int8 kernel.
        calibration_lines: number of lines that set the scales of activations.
        interface: of a user's model, see ``Interface.of``; None for the built-in one.

    Raises:
        RecipeError: no calibration line, or the parent has another alphabet.
        CorpusError: the corpus has no validation line.
    """
    parent, takes = build.teacher, None if interface is None else Interface.of(interface)
    lines = inputs_of(build.corpus.validation, calibration_lines, takes)
    model = onnx_rewrite.rewritten_for_int8(parent) if rewritten else onnx_graph.optimized(parent)
    operators = STATIC if rewritten else AS_IT_STANDS
    if takes and not any(node.op_type == "LSTM" for node in model.graph.node):
        operators = (*operators, *_PRODUCTS)
    quantize(model, lines, build.target, operators=operators, float_block=rewritten, interface=takes or BUILT_IN)
    return {"calibration_lines": len(lines[0])}


def quantize(
    model: "onnx.ModelProto",
    lines: tuple[np.ndarray, np.ndarray],
    target: Path,
    *,
    operators: Sequence[str] = STATIC,
    float_block: bool,
    interface: Interface = BUILT_IN,
) -> None:
    """Quantize a graph and save it.

    Args:
        model: the graph.
        lines: calibration inputs, images (N, H, W) and field (N, T, 2).
        target: the file.
        operators: types of the nodes that get static scales.
        float_block: whether the first block stays float.
        interface: of the model.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # It converts bool arrays the deprecated way.
        warnings.simplefilter("ignore", DeprecationWarning)
        recurrent = any(node.op_type == "LSTM" for node in model.graph.node)
        source, static_part = Path(folder, "float.onnx"), Path(folder, "static.onnx") if recurrent else target
        onnx.save(model, str(source))
        quantize_static(
            source,
            static_part,
            _Batches(batches(lines, _BATCH, interface)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(operators),
            nodes_to_exclude=_first_block(model) if float_block else [],
            per_channel=True,
            reduce_range=_REDUCE_RANGE,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        if recurrent:
            _dynamic(static_part, target)


def _dynamic(source: Path, target: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        quantize_dynamic(source, target, op_types_to_quantize=list(_DYNAMIC), reduce_range=_REDUCE_RANGE)


class _Batches:
    """Calibration batches as the quantizer reads them."""

    def __init__(self, batches: Iterator[dict[str, np.ndarray]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch; None after the last."""
        return next(self._batches, None)


def _first_block(model: "onnx.ModelProto") -> list[str]:
    """Names of the nodes from the first convolution up to the second, without the second."""
    graph = Graph(model)
    first = next(node for node in graph.nodes if node.op_type == "Conv")
    names = [first.name]
    reader = graph.only_reader(first.output[0], through=())
    while reader is not None and reader.op_type in STATIC[1:]:
        names.append(reader.name)
        reader = graph.only_reader(reader.output[0], through=())
    return names
