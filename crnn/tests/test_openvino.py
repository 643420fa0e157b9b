"""OpenVINO: files, conversion, quantization, what the engine refuses."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from crnn import processor
from crnn.formats import openvino_file, pt_file
from crnn.formats.counts import count, macs_of_config
from crnn.optimize import onnx_convert, openvino_convert
from crnn.optimize.recipe import Build, RecipeError
from crnn.runtimes.openvino_runtime import Runtime, leave_logits
from crnn.tests.test_models import inputs, torch_model, torch_outputs
from crnn.tests.test_training import ALPHABET, TINY, corpus
from crnn.text import log_softmax

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::RuntimeWarning"
)


def build_of(folder, parent, alphabet=ALPHABET):
    """A build from a file."""
    return Build("tiny", parent, folder / "tiny.openvino", corpus(), folder / "none", alphabet)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The tiny model as an ONNX file."""
    folder = tmp_path_factory.mktemp("onnx")
    pt_file.save(torch_model(TINY), folder / "tiny.pt")
    return onnx_convert.exported(folder / "tiny.pt", folder)


@pytest.fixture(scope="module")
def converted(graph, tmp_path_factory):
    """The tiny model, converted."""
    build = build_of(tmp_path_factory.mktemp("openvino"), graph)
    openvino_convert.convert(build)
    return build


@pytest.fixture(scope="module", params=[False, True], ids=["as it stands", "rewritten"])
def quantized(request, graph, tmp_path_factory):
    """The tiny model in int8."""
    build = build_of(tmp_path_factory.mktemp("openvino"), graph)
    openvino_convert.quantize(build, rewritten=request.param)
    return build


def loaded(path, **options):
    """An engine with an artifact."""
    runtime = Runtime()
    runtime.threads = 1
    runtime.load(path, "cpu", **options)
    return runtime


class TestConverted:
    @pytest.mark.parametrize("size", [1, 3, 8])
    def test_outputs_are_the_models(self, size, converted):
        """At any batch size, log probabilities are within 1e-4 of eager PyTorch's."""
        batch = inputs(count=size)

        assert np.abs(loaded(converted.target)(*batch) - torch_outputs(torch_model(TINY), batch)).max() < 1e-4

    def test_counts(self, converted):
        """MACs are the model's; BatchNorm's statistics are stored, and one bias per LSTM."""
        parameters = sum(p.numel() for p in torch_model(TINY).parameters()) + 2 * sum(TINY.channels)
        counts = count(converted.target, "openvino")

        assert counts.macs_per_line == macs_of_config(TINY)
        assert counts.parameters_stored == parameters - 4 * sum(TINY.lstm_units)

    def test_conversion_is_deterministic(self, converted, tmp_path):
        """A second conversion gives the same bytes."""
        again = build_of(tmp_path, converted.source)
        openvino_convert.convert(again)

        assert again.target.read_bytes() == converted.target.read_bytes()


class TestQuantized:
    def test_outputs_are_near_the_models(self, quantized):
        """Log probabilities are near those of the float model."""
        batch = inputs()

        assert np.abs(loaded(quantized.target)(*batch) - torch_outputs(torch_model(TINY), batch)).max() < 0.5

    def test_what_is_quantized(self, quantized):
        """Convolutions, classifier and both LSTMs have int8 weights."""
        model = openvino_file.read(quantized.target)
        weights = {
            kind: [_stored(node.input_value(position)) for node in model.get_ordered_ops() if _kind(node) == kind]
            for kind, position in (("Convolution", 1), ("MatMul", 1), ("LSTMSequence", 4))
        }

        assert weights == {"Convolution": ["i8"] * 5, "MatMul": ["i8"], "LSTMSequence": ["i8", "i8"]}

    @pytest.mark.parametrize(("int8_lstms", "computed"), [(0, ["f32", "f32"]), (2, ["I8", "I8"])])
    def test_which_lstms_compute_in_int8(self, int8_lstms, computed, graph):
        """LSTMs compute in float32, although their weights are int8, unless int8 is asked for."""
        lines = inputs(count=16)
        model = openvino_convert.quantized(openvino_convert.model_of(graph), lines, int8_lstms=int8_lstms)
        # As the engine compiles it, with static shapes.
        model.reshape({"images": [16, 32, 400], "field": [16, 50, 2]})
        settings = {"PERF_COUNT": True, "INFERENCE_PRECISION_HINT": "f32"}
        request = openvino_file.openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
        request.infer(dict(zip(("images", "field"), lines, strict=True)))
        nodes = [node for node in request.profiling_info if node.node_type == "LSTMSequence"]

        assert [node.exec_type.rpartition("_")[2] for node in nodes] == computed

    @pytest.mark.parametrize(("whole_ranges", "largest"), [(False, 0.625), (True, 1.0)])
    def test_ranges(self, whole_ranges, largest, graph):
        """The range of the images ends at their largest value if asked for, else at the mean of the batches' ones."""
        images, field = inputs(count=32)
        images[:16], images[16:] = 0.25, 1
        model = openvino_convert.model_of(graph)
        found = openvino_convert.quantized(model, (images, field), whole_ranges=whole_ranges)
        [ends] = [
            node.input_value(2).get_node().data
            for node in found.get_ordered_ops()
            if _kind(node) == "FakeQuantize" and "images" in node.get_friendly_name()
        ]

        assert ends.item() == pytest.approx(largest, rel=0.01)

    def test_no_int8_lstm_in_a_rewritten_graph(self, graph):
        """The initial state of a rewritten graph's LSTMs has no range, so int8 is refused with the LSTM's name."""
        model = openvino_convert.model_of(graph, rewritten=True)

        with pytest.raises(
            ValueError, match=r"LSTMSequence_\d+ cannot compute in int8: its initial state has no range"
        ):
            openvino_convert.quantized(model, inputs(count=16), int8_lstms=1)

    def test_rewritten(self, tmp_path):
        """Where all scales are positive, rewriting leaves no BatchNorm, and the outputs are the model's."""
        model, batch = torch_model(TINY), inputs()
        for block in model.blocks:
            block.norm.weight.data.abs_()
        pt_file.save(model, tmp_path / "positive.pt")
        graph = openvino_convert.model_of(tmp_path / "positive.pt", rewritten=True)
        openvino_file.write(graph, tmp_path / "rewritten.openvino")

        assert [node for node in graph.get_ops() if _kind(node) == "BatchNormInference"] == []
        assert np.abs(loaded(tmp_path / "rewritten.openvino")(*batch) - torch_outputs(model, batch)).max() < 1e-4

    def test_macs_are_the_models(self, quantized):
        """Quantization changes no MAC."""
        assert count(quantized.target, "openvino").macs_per_line == macs_of_config(TINY)

    def test_no_line_to_calibrate_with(self, graph, tmp_path):
        """Calibrating with none of the validation lines is an error before any work."""
        build = build_of(tmp_path, graph)

        with pytest.raises(RecipeError, match="calibration needs at least one line, got 0"):
            openvino_convert.quantize(build, calibration_lines=0)
        assert not build.target.exists()

    def test_another_alphabet(self, graph, tmp_path):
        """Calibrating on a corpus with another alphabet is an error that shows both."""
        with pytest.raises(RecipeError, match="reads the alphabet 'xyz', the corpus tiny has 'абв'"):
            openvino_convert.quantize(build_of(tmp_path, graph, "xyz"))


def _kind(node):
    return node.get_type_name()


def _stored(value):
    """The element type of the constant behind a value."""
    node = value.get_node()
    while _kind(node) != "Constant":
        node = node.input_value(0).get_node()
    return node.get_element_type().get_type_name()


class TestFiles:
    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
    def test_truncated(self, share, converted, tmp_path):
        """A truncated file is an error that names it."""
        path, whole = tmp_path / "half.openvino", converted.target.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])

        with pytest.raises(ValueError, match=r"half\.openvino is not a ZIP archive of model\.xml and model\.bin"):
            loaded(path)

    @pytest.mark.parametrize(
        ("old", "new"), [(b'type="Convolution"', b'type="Involution"'), (b"<layers>", b"<lasers>"), (b"<net", b"\0net")]
    )
    def test_not_a_graph(self, old, new, converted, tmp_path):
        """An unknown operator, or a graph that is none, is an error that names the file and OpenVINO's version."""
        path = tmp_path / "odd.openvino"
        with zipfile.ZipFile(converted.target) as source, zipfile.ZipFile(path, "w") as target:
            content = source.read("model.xml")
            assert old in content
            target.writestr("model.xml", content.replace(old, new))
            target.writestr("model.bin", source.read("model.bin"))

        with pytest.raises(ValueError, match=r"odd\.openvino cannot be read by OpenVINO 2"):
            loaded(path)


class TestOptions:
    def test_unknown_precision(self, converted):
        """An unknown precision is an error that lists the known ones."""
        with pytest.raises(ValueError, match="no precision 'f8'; there are: f32, bf16"):
            loaded(converted.target, precision="f8")

    def test_cuda(self, converted):
        """A CUDA device is refused."""
        runtime = Runtime()
        with pytest.raises(RuntimeError, match="OpenVINO has no CUDA plugin"):
            runtime.load(converted.target, "cuda")

    @pytest.mark.parametrize(
        ("features", "runs"),
        [(("avx2",), False), (("avx512f", "avx512_vnni"), False), (("avx512_bf16",), True), (("amx_bf16",), True)],
    )
    def test_bfloat16_needs_its_kernels(self, features, runs, monkeypatch):
        """A bfloat16 row is skipped, with the reason, on a processor that lacks the instructions."""
        monkeypatch.setattr("crnn.runtimes.openvino_runtime.features", lambda: frozenset(features))
        reason = Runtime.unsupported("cpu", precision="bf16")

        assert (reason is None) == runs
        assert runs or "OpenVINO has no bfloat16 kernels for this processor" in reason
        assert Runtime.unsupported("cpu", precision="f32") is None

    def test_another_precision_than_asked_for(self, converted, monkeypatch):
        """A compiled model that computes in another precision is an error that names both."""
        if processor.features() & {"avx512_bf16", "amx_bf16", "bf16"}:
            pytest.skip("this processor computes in bfloat16")
        with pytest.raises(RuntimeError, match="OpenVINO computes in f32 where bf16 is asked for"):
            loaded(converted.target, precision="bf16")(*inputs())


@pytest.mark.parametrize("size", [1, 3])
def test_log_softmax_in_float(size, converted):
    """In bfloat16 the model returns logits; their log softmax in float32 is the model's own."""
    images, field = inputs(count=size)
    model = openvino_file.read(converted.target)
    whole = openvino_file.openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = whole({"images": images, "field": field})[0].copy()
    leave_logits(model)
    cut = openvino_file.openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = log_softmax(cut({"images": images, "field": field})[0])

    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-5


def test_no_telemetry():
    """After an import of OpenVINO and NNCF through this package, their telemetry is not loaded."""
    code = (
        "from crnn.formats import openvino_file; import nncf, openvino, sys;"
        "print(sys.modules['openvino_telemetry'], 'openvino_telemetry.main' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["None", "False"]
