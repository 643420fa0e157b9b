"""Rewriting and quantization of ONNX graphs: what each step computes, and what is left in the graph."""

import importlib.util

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from crnn.artifacts import SHIPPED
from crnn.formats import pt_file
from crnn.formats.counts import count, macs_of_config
from crnn.models import torch_crnn
from crnn.optimize import onnx_graph, onnx_int8, onnx_rewrite
from crnn.optimize.onnx_edit import Graph
from crnn.optimize.recipe import Build, RecipeError
from crnn.runtimes.onnx_runtime import Runtime
from crnn.tests.test_models import inputs
from crnn.tests.test_training import ALPHABET, TINY, corpus

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
    pytest.mark.skipif(
        not importlib.util.find_spec("onnxoptimizer"), reason="onnxoptimizer has no wheel for this machine"
    ),
]
STEPS = (
    onnx_rewrite.pool_first,
    onnx_rewrite.fold_scales,
    onnx_rewrite.activate_last,
    onnx_rewrite.fold_shifts,
    onnx_rewrite.fold_into_lstm,
)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """The optimized graph of a tiny model, by the sign of the scales in its second block."""
    torch.manual_seed(1)
    model = torch_crnn.CRNN(TINY).eval()
    with torch.no_grad():
        for block in model.blocks:
            block.norm.weight.uniform_(0.2, 2)
            block.norm.bias.normal_()
            block.norm.running_mean.normal_()
            block.norm.running_var.uniform_(0.2, 3)
    path = tmp_path_factory.mktemp("graphs") / "model.pt"
    pt_file.save(model, path)
    positive = onnx_graph.optimized(path)
    negative = Graph(positive)
    norm = [node for node in negative.nodes if node.op_type == "BatchNormalization"][1]
    norm.input[1] = negative.add_constant(norm.input[1], -negative.required(norm.input[1]))
    return {1: positive, -1: negative.finished()}


def outputs(model, size=3):
    """Log probabilities of random lines."""
    images, field = inputs(count=size)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images, "field": field})[0]


def kinds(model):
    """The types of a graph's nodes, in order."""
    return [node.op_type for node in model.graph.node]


def test_scales_of_the_original_are_positive():
    """So every block of the shipped original is rewritten."""
    norms = [block.norm for block in pt_file.load(SHIPPED / "torch-original.pt").blocks]

    assert [bool((norm.weight > 0).all()) for norm in norms] == [True] * 5


class TestSteps:
    @pytest.mark.parametrize("sign", [1, -1])
    @pytest.mark.parametrize("step", STEPS)
    def test_each_step_computes_the_same(self, step, sign, graphs):
        """A step alone changes no log probability by more than 1e-4, whatever the signs of the scales."""
        assert np.abs(outputs(step(graphs[sign])) - outputs(graphs[sign])).max() < 1e-4

    @pytest.mark.parametrize("steps", [onnx_rewrite.FLOAT_STEPS, onnx_rewrite.INT8_STEPS, STEPS])
    def test_steps_in_a_row_compute_the_same(self, steps, graphs):
        """So do all of them, one after the other, at several batch sizes."""
        model = graphs[1]
        for step in steps:
            before, model = model, step(model)
            assert np.abs(outputs(model) - outputs(before)).max() < 1e-4
        for size in (1, 5):
            assert np.abs(outputs(model, size) - outputs(graphs[1], size)).max() < 1e-4

    def test_input_is_unchanged(self, graphs):
        """A step edits a copy."""
        before = graphs[1].SerializeToString(deterministic=True)
        for step in STEPS:
            step(graphs[1])

        assert graphs[1].SerializeToString(deterministic=True) == before

    def test_pools_come_before_all_else(self, graphs):
        """After all steps a convolution is followed by MaxPool and LeakyReLU, and no BatchNorm or addition is left."""
        model = graphs[1]
        for step in STEPS:
            model = step(model)
        blocks = [
            kind for kind in kinds(model) if kind in ("Conv", "MaxPool", "LeakyRelu", "Add", "BatchNormalization")
        ]

        assert blocks == ["Conv", "MaxPool", "LeakyRelu"] * len(TINY.channels)

    def test_a_block_with_a_negative_scale_stays(self, graphs):
        """With one negative scale MaxPool and BatchNorm do not commute, so this block stays as it is."""
        model = onnx_rewrite.fold_scales(onnx_rewrite.pool_first(graphs[-1]))
        graph = Graph(model)
        [norm] = [node for node in graph.nodes if node.op_type == "BatchNormalization"]

        assert [node.op_type for node in graph.consumers(norm.output[0])] == ["MaxPool"]
        assert kinds(model).count("Add") == len(TINY.channels) - 1

    def test_a_graph_with_computed_weights_is_refused(self):
        """A graph whose BatchNorm is computed in the graph is an error that says what to do."""
        model = onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["": 17]> g (float[1,2,4,4] x, float[2] s) => (float[1,2,4,4] y)'
            "{ t = Abs(s) y = BatchNormalization(x, t, t, t, t) }"
        )

        with pytest.raises(ValueError, match="t is not a constant: optimize the graph first"):
            onnx_rewrite.fold_scales(model)


def build_from(graph, folder, alphabet=ALPHABET):
    """A build whose parent is a graph."""
    onnx.save(graph, folder / "parent.onnx")
    return Build("tiny", folder / "parent.onnx", folder / "tiny.onnx", corpus(), folder / "none", alphabet)


@pytest.fixture(scope="module")
def quantized(graphs, tmp_path_factory):
    """Builds of the static recipe, plain and rewritten."""
    found = {rewritten: build_from(graphs[1], tmp_path_factory.mktemp("int8")) for rewritten in (False, True)}
    for rewritten, build in found.items():
        onnx_int8.static(build, rewritten=rewritten)
    return found


class TestInt8:
    @pytest.mark.parametrize("rewritten", [False, True])
    def test_outputs_are_near_the_parents(self, rewritten, quantized, graphs):
        """The log probabilities are near the float model's."""
        assert np.abs(outputs(onnx.load(quantized[rewritten].target)) - outputs(graphs[1])).max() < 0.3

    @pytest.mark.parametrize(("rewritten", "convolutions"), [(False, 5), (True, 4)])
    def test_what_is_quantized(self, rewritten, convolutions, quantized):
        """All convolutions, of the rewritten graph all but the first, are int8, and all LSTMs and products."""
        graph = Graph(onnx.load(quantized[rewritten].target))
        weights = [graph.producer(node.input[1]) for node in graph.nodes if node.op_type == "Conv"]
        found = kinds(graph.model)

        assert sum(node is not None and node.op_type == "DequantizeLinear" for node in weights) == convolutions
        assert found.count("DynamicQuantizeLSTM") == 2
        assert {"LSTM", "MatMul", "Gemm"} & set(found) == set()

    @pytest.mark.parametrize("rewritten", [False, True])
    def test_macs_are_the_models(self, rewritten, quantized):
        """Neither rewriting nor quantization changes the number of MACs."""
        assert count(quantized[rewritten].target, "onnx").macs_per_line == macs_of_config(TINY)

    def test_no_line_to_calibrate_with(self, graphs, tmp_path):
        """Calibrating with none of the validation lines is an error before any work."""
        build = build_from(graphs[1], tmp_path)

        with pytest.raises(RecipeError, match="calibration needs at least one line, got 0"):
            onnx_int8.static(build, rewritten=True, calibration_lines=0)
        assert not build.target.exists()

    def test_another_alphabet(self, graphs, tmp_path):
        """Calibrating on a corpus with another alphabet is an error that shows both."""
        build = build_from(graphs[1], tmp_path, "xyz")

        with pytest.raises(RecipeError, match="reads the alphabet 'xyz', the corpus tiny has 'абв'"):
            onnx_int8.static(build, rewritten=True)


def test_truncated_file(graphs, tmp_path):
    """A truncated file is an error that names it."""
    whole = graphs[1].SerializeToString()
    (tmp_path / "half.onnx").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(ValueError, match=r"half\.onnx is not a whole ONNX file"):
        onnx_graph.optimized(tmp_path / "half.onnx")


def test_unknown_operator(graphs, tmp_path):
    """A graph with an operator that nobody knows does not load, and the error names file and operator."""
    foreign = onnx.ModelProto()
    foreign.CopyFrom(graphs[1])
    next(node for node in foreign.graph.node if node.op_type == "LeakyRelu").op_type = "LukewarmRelu"
    (tmp_path / "foreign.onnx").write_bytes(foreign.SerializeToString())

    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph, match=r"foreign\.onnx.*LukewarmRelu"):
        Runtime().load(tmp_path / "foreign.onnx", "cpu")
