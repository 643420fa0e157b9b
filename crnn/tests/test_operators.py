"""Which operators an engine ran: profiles, their record, and what is wrong with it."""

import json

import numpy as np
import pytest

from crnn.formats import pt_file
from crnn.measure.operators import faults, matrix_precisions, record
from crnn.measure.records import Operators
from crnn.optimize import onnx_convert, openvino_convert
from crnn.optimize.recipe import Build
from crnn.runtimes import noop_runtime, onnx_profile, torch_profile
from crnn.runtimes.base import Runtime, engine_names, runtime_class
from crnn.runtimes.onnx_runtime import Runtime as OnnxRuntime
from crnn.runtimes.openvino_runtime import Runtime as OpenvinoRuntime
from crnn.runtimes.operators import Operator, is_matrix
from crnn.runtimes.torch_runtime import Runtime as TorchRuntime
from crnn.tests.test_models import inputs, torch_model
from crnn.tests.test_training import ALPHABET, TINY, corpus

CONVOLUTION, LSTM = Operator("Convolution", "int8", 2.0), Operator("LSTMSequence", "fp32", 3.0)
SOFTMAX = Operator("LogSoftmax", "fp32", 0.5)


def event(name, kind, duration, *types, category="Node"):
    """An event of ONNX Runtime's profile."""
    arguments = {"op_name": kind, "input_type_shape": [{name: [1, 2]} for name in types]}
    return {"cat": category, "name": name, "dur": duration, "args": arguments}


class TestOnnxProfile:
    def test_an_operator_per_node_with_its_median(self):
        """Each node is one operator, with the median of its calls; other events are left out."""
        events = [
            event("session_run", "", 999, category="Session"),
            *(event("conv1_kernel_time", "Conv", duration, "float", "float") for duration in (5, 1, 3)),
            event("conv2_kernel_time", "Conv", 8, "float"),
            event("conv2_fence_before", "Conv", 7, "float"),
        ]

        assert onnx_profile.operators(json.dumps(events)) == [
            Operator("Conv", "fp32", pytest.approx(3e-6)),
            Operator("Conv", "fp32", pytest.approx(8e-6)),
        ]

    @pytest.mark.parametrize(
        ("types", "precision"),
        [
            (("float", "float"), "fp32"),
            (("uint8", "float", "int8"), "int8"),
            (("float", "int8"), "int8"),
            (("int64",), "fp32"),
            (("float16",), "fp16"),
            (("bfloat16",), "bf16"),
            ((), "fp32"),
        ],
    )
    def test_precision_is_that_of_the_inputs(self, types, precision):
        """One input in a lower precision says in which an operator computes."""
        [found] = onnx_profile.operators(json.dumps([event("a_kernel_time", "Conv", 1, *types)]))

        assert found.precision == precision


def torch_event(name, start, duration, *types, category="cpu_op", thread=1):
    """An event of PyTorch's profile."""
    arguments = {"Input type": list(types)}
    return {"ph": "X", "cat": category, "name": name, "ts": start, "dur": duration, "args": arguments, "tid": thread}


def torch_trace(*events):
    """A trace with a call from 0 to 100 microseconds."""
    call = torch_event(torch_profile.CALL, 0, 100, category="user_annotation")
    return json.dumps({"traceEvents": [call, *events]})


class TestTorchProfile:
    def test_the_innermost_operator_counts(self):
        """What only passes a convolution on is no operator of its own; its time is the convolution's."""
        found = torch_profile.operators(
            torch_trace(
                torch_event("aten::conv2d", 0, 50, "float"),
                torch_event("aten::convolution", 2, 46, "float"),
                torch_event("aten::mkldnn_convolution", 4, 40, "float"),
                torch_event("aten::empty", 5, 10, ""),
                torch_event("aten::relu", 60, 7, "float"),
            )
        )

        assert found == [
            Operator("mkldnn_convolution", "fp32", pytest.approx(40e-6)),
            Operator("empty", "fp32", pytest.approx(10e-6)),
            Operator("relu", "fp32", pytest.approx(7e-6)),
        ]

    def test_no_time_is_lost(self):
        """Operators take as long as the outermost events, which lie in calls."""
        found = torch_profile.operators(
            torch_trace(
                torch_event("aten::lstm", 0, 90, "float"),
                torch_event("aten::addmm", 10, 20, "float"),
                torch_event("aten::addmm", 40, 30, "float"),
                torch_event("aten::relu", 200, 5, "float"),
            )
        )

        assert sum(operator.seconds for operator in found) == pytest.approx(90e-6)
        assert [operator.kind for operator in found] == ["addmm", "addmm"]

    @pytest.mark.parametrize(
        ("name", "types", "precision"),
        [
            ("aten::addmm", ("float", "float"), "fp32"),
            ("aten::addmm", ("c10::BFloat16", "c10::BFloat16"), "bf16"),
            ("aten::addmm", ("c10::Half",), "fp16"),
            ("onednn::qconv2d_pointwise", ("unsigned char", "float"), "int8"),
            ("quantized::linear_dynamic", ("float", ""), "int8"),
        ],
    )
    def test_precision(self, name, types, precision):
        """Element types of the inputs tell it, or for packed int8 weights the operator's name."""
        [found] = torch_profile.operators(torch_trace(torch_event(name, 0, 1, *types)))

        assert found.precision == precision


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Convolution", True),
        ("QLinearConv", True),
        ("ConvInteger", True),
        ("FusedMatMul", True),
        ("DynamicQuantizeLSTM", True),
        ("LSTMSequence", True),
        ("FullyConnected", True),
        ("Gemm", True),
        ("mkldnn_convolution", True),
        ("mkldnn_rnn_layer", True),
        ("linear_dynamic", True),
        ("addmm", True),
        ("mm", True),
        ("Convert", False),
        ("QuantizeLinear", False),
        ("MaxPool", False),
        ("max_pool2d", False),
        ("add", False),
        ("dropout", False),
    ],
)
def test_matrix_operators(kind, expected):
    """Convolutions, products and LSTMs hold the MACs; conversions and pooling do not."""
    assert is_matrix(kind) == expected


class TestRecord:
    def test_kinds_are_summed(self):
        """Operators of a kind and precision are one entry, slowest first; matrix operators are counted apart."""
        found = record([CONVOLUTION, SOFTMAX, LSTM, CONVOLUTION], 32)

        assert found.matrix_operators == "2 Convolution int8, 1 LSTMSequence fp32"
        assert found.float_matrix_operators_count == 1
        assert found.operators_s == 7.5
        assert found.operators[0] == {"kind": "Convolution", "precision": "int8", "count": 2, "seconds": 4.0}
        assert [entry["kind"] for entry in found.operators] == ["Convolution", "LSTMSequence", "LogSoftmax"]
        assert Operators.from_json(found.to_json()) == found

    def test_a_row_computes_in_its_precision(self):
        """Operators in the row's precision and in float32 are what it claims; so are int8 LSTMs of a float row."""
        assert faults(record([CONVOLUTION, LSTM], 1), "int8") == []
        assert faults(record([LSTM], 1), "fp32") == []
        assert (
            faults(record([LSTM._replace(precision="int8"), CONVOLUTION._replace(precision="fp32")], 1), "fp32") == []
        )

    def test_a_fallback_is_a_fault(self):
        """An int8 row that computes in float32 only is a fault that shows its operators."""
        assert faults(record([LSTM, SOFTMAX], 1), "int8") == ["no operator computes in int8: 1 LSTMSequence fp32"]

    def test_a_lower_precision_is_a_fault(self):
        """A row that does not name half precision and computes in it is a fault that names it."""
        operators = record([CONVOLUTION, LSTM._replace(precision="bf16")], 1)

        assert faults(operators, "int8") == [
            "operators compute in bf16, not in int8: 1 Convolution int8, 1 LSTMSequence bf16"
        ]

    def test_no_matrix_operator_is_a_fault(self):
        """A profile without any operator that holds MACs is a fault."""
        assert faults(record([SOFTMAX], 1), "fp32") == ["no operator computes in fp32: "]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The tiny model as an ONNX file."""
    folder = tmp_path_factory.mktemp("onnx")
    pt_file.save(torch_model(TINY), folder / "tiny.pt")
    return onnx_convert.exported(folder / "tiny.pt", folder)


def profiled(engine, path):
    """Matrix operators of a batch, as an engine with two threads tells."""
    runtime = engine()
    runtime.threads = 2
    runtime.load(path, "cpu")
    return record(runtime.profile(*inputs(), 3), 4)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
class TestEngines:
    def test_onnx_runtime(self, graph):
        """ONNX Runtime computes a float model in float32 alone, its two LSTMs as such."""
        found = profiled(OnnxRuntime, graph)

        assert matrix_precisions(found) == {"fp32"}
        kinds = [entry["kind"] for entry in found.operators for _ in range(entry["count"]) if "LSTM" in entry["kind"]]
        assert kinds == ["LSTM", "LSTM"]

    def test_pytorch(self, tmp_path):
        """Eager PyTorch computes five convolutions, two LSTMs and a product in float32."""
        pt_file.save(torch_model(TINY), tmp_path / "tiny.pt")
        found = profiled(TorchRuntime, tmp_path / "tiny.pt")
        counts = {entry["kind"]: entry["count"] for entry in found.operators if is_matrix(entry["kind"])}

        assert faults(found, "fp32") == []
        assert sum(count for kind, count in counts.items() if "conv" in kind) == 5
        assert sum(count for kind, count in counts.items() if "conv" not in kind) >= 3

    @pytest.mark.parametrize(("recipe", "precision"), [("convert", "fp32"), ("quantize", "int8")])
    def test_openvino(self, recipe, precision, graph, tmp_path):
        """OpenVINO computes in the precision of the recipe; LSTMs always in float32."""
        build = Build("tiny", graph, tmp_path / "tiny.openvino", corpus(), tmp_path / "none", ALPHABET)
        getattr(openvino_convert, recipe)(build)
        found = profiled(OpenvinoRuntime, build.target)

        assert faults(found, precision) == []
        assert "2 LSTMSequence fp32" in found.matrix_operators
        assert f"Convolution {precision}" in found.matrix_operators

    def test_an_engine_without_a_profiler(self):
        """An engine without a profiler tells nothing."""
        assert noop_runtime.Runtime().profile(np.zeros((1, 32, 400)), np.zeros((1, 50, 2)), 1) == []

    def test_engines_that_tell_say_so(self):
        """Exactly the engines with a profiler of their own are marked, so exactly these are measured."""
        engines = [runtime_class(name) for name in engine_names()]

        assert [engine.profiles for engine in engines] == [engine.profile is not Runtime.profile for engine in engines]
