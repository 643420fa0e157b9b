"""What is found about a user's model, and what is said about one that does not fit."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from crnn import interface, registry
from crnn.corpus import open_corpus
from crnn.corpus.labels import FIELD_ALPHABET
from crnn.interface import BUILT_IN, Interface, InterfaceError
from crnn.measure import trials
from crnn.measure.conversions import ready
from crnn.measure.inspection import inspect
from crnn.tests.disguised import PADDLE, disguise
from crnn.tests.test_widths import write
from crnn.text import LOG_PROBABILITIES, LOGITS, PROBABILITIES, VALUES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source():
    """The ONNX file of the built-in CRNN."""
    return ready(registry.get("ort-torch2onnx"), open_corpus(None))


@pytest.fixture
def paddle(source, tmp_path):
    """The CRNN as PaddleOCR would return it."""
    return disguise(source, tmp_path / "paddle.onnx", PADDLE)


@st.composite
def shown(draw):
    """An interface whose keys can all be found."""
    channels = draw(st.sampled_from([1, 3]))
    return Interface(
        channels=channels,
        layout=draw(st.sampled_from([one for one in interface.LAYOUTS if channels == 1 or "C" in one])),
        **draw(st.sampled_from(trials.SCALINGS)),
        field=draw(st.sampled_from(["", "field"])),
        images="pixels",
        output="classes",
        output_layout=draw(st.sampled_from(interface.OUTPUT_LAYOUTS)),
        values=draw(st.sampled_from(VALUES)),
        blank=draw(st.sampled_from([0, 45])),
        alphabet=FIELD_ALPHABET,
    )


class TestFound:
    def test_the_built_in_interface(self, source):
        """Of our own file all keys are found, and the lines are read."""
        found = inspect(source, {}, None)

        assert found.interface == replace(BUILT_IN, output="log_probs", alphabet=FIELD_ALPHABET)
        assert found.cer < 0.02
        assert found.model.without == {}

    @settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(shown())
    def test_any_interface(self, source, tmp_path, described):
        """Whatever layout, scaling, values and blank a model has, they are found."""
        path = disguise(source, tmp_path / "own.onnx", described)

        assert inspect(path, {}, None).interface == described

    def test_what_is_stated_is_kept(self, paddle):
        """Stated keys are not looked for."""
        stated = {"mean": [0.5], "std": [0.5], "blank": 45, "alphabet": FIELD_ALPHABET}
        found = inspect(paddle, stated, None)

        assert stated.keys().isdisjoint(found.found)
        assert found.interface == replace(PADDLE, blank=45, alphabet=FIELD_ALPHABET)


class TestWrong:
    @pytest.mark.parametrize(
        ("stated", "message"),
        [
            ({"blank": 0}, r"^blank = 0 looks wrong: CER .*, 0\.0\d* with 45"),
            ({"values": LOGITS}, r"^values = 'logits' looks wrong: .*which are probabilities"),
            ({"values": LOG_PROBABILITIES}, r"^values = 'log probabilities' looks wrong: .*which are probabilities"),
            ({"output_layout": "BTC"}, r"^output_layout = 'BTC' looks wrong"),
            ({"time_steps": 49}, r"^time_steps = 49 looks wrong"),
            ({"layout": "BHW"}, r"^layout = 'BHW' looks wrong: the input is x float32 \(\?, 3, 32, 400\)"),
            ({"height": 48}, r"^height = 48 looks wrong"),
            ({"images": "y"}, r"^images = 'y': the model has x float32"),
            ({"output": "y"}, r"^output = 'y': the model has softmax_0"),
            ({"alphabet": "abc"}, r"^alphabet: 3 characters and a blank, the model has 46 classes"),
            ({"alphabet": FIELD_ALPHABET[:-1] + "!"}, r"^alphabet lacks 'Я'"),
            (
                {"alphabet": FIELD_ALPHABET[3:] + FIELD_ALPHABET[:3]},
                r"^alphabet looks wrong: CER [01]\.\d* on 64 lines, 0\.0\d* in another order: .*'.' is read for '.'",
            ),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_a_wrong_key_is_named(self, paddle, stated, message):
        """The error names the key that looks wrong."""
        with pytest.raises(InterfaceError, match=message):
            inspect(paddle, stated, None)

    def test_logits_that_are_called_probabilities(self, source, tmp_path):
        """A missing softmax is seen."""
        path = disguise(source, tmp_path / "own.onnx", replace(PADDLE, values=LOGITS))
        with pytest.raises(InterfaceError, match=r"^values = 'probabilities' looks wrong: .*which are logits"):
            inspect(path, {"values": PROBABILITIES}, None)


def graph(path, inputs, outputs, kind="Identity", domain=""):
    """A file with one operator; the inputs and outputs by name, with their shapes."""
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in of.items()]
        for of in (inputs, outputs)
    ]
    nodes = [helper.make_node(kind, [next(iter(inputs))], [name], domain=domain) for name in outputs]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "own", *ends), opset_imports=opsets, ir_version=10), path)
    return path


def convolution(path, classes):
    """A recognizer of lines of any width: one convolution of 32 x 8 pixels per time step, with random weights."""
    weights = np.random.default_rng(0).normal(0, 0.1, (classes, 1, 32, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "weights"], ["columns"], strides=[32, 8]),
        helper.make_node("Squeeze", ["columns", "axes"], ["steps"]),  # (B, C, 1, T) -> (B, C, T)
        helper.make_node("Transpose", ["steps"], ["y"], perm=[0, 2, 1]),  # (B, C, T) -> (B, T, C)
    ]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("x", ["b", 1, 32, "w"]), ("y", ["b", "t", classes]))
    ]
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([2]), "axes")]
    made = helper.make_graph(nodes, "own", *ends, constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images that are 96 pixels wide at a height of 32, with ten digits in their labels."""
    labels = [f"{index:03}" for index in range(60)]
    return write(tmp_path_factory.mktemp("corpora") / "narrow", (192, 64), labels)


class TestOpenWidth:
    @pytest.mark.parametrize(("width", "found", "steps"), [("auto", 96, 12), (160, 160, 20)])
    def test_is_given_or_chosen(self, folder, tmp_path, width, found, steps):
        """A width that the file leaves open is the given one, or that of the corpus's images; it says why."""
        told = inspect(convolution(tmp_path / "own.onnx", 11), {}, folder, width)

        assert (told.interface.width, told.interface.time_steps) == (found, steps)
        why = ["width 96: 99% of the lines are at most 96 pixels wide at a height of 32"]
        assert told.notes()[: len(told.why)] == (why if width == "auto" else [])

    def test_a_stated_one_wins(self, folder, tmp_path):
        """What the user's file states is not chosen again."""
        told = inspect(convolution(tmp_path / "own.onnx", 11), {"width": 200}, folder, "auto")

        assert (told.interface.width, told.why) == (200, ())

    def test_a_fixed_one_stays(self, paddle):
        """A file that tells its width needs none."""
        assert inspect(paddle, {}, None, "auto").interface.width == 400


IMAGES = {"x": ["b", 1, 32, 400]}


class TestBadFiles:
    @pytest.mark.parametrize(
        ("inputs", "outputs", "message"),
        [
            (IMAGES, {"y": ["b", 1, 32, 400], "z": ["b", 1, 32, 400]}, "^output: which one holds the classes.*y .*z "),
            ({"x": [1, 1, 32, 400]}, {"y": [1, 1, 32, 400]}, "^images: .* takes batches of 1; export"),
            ({"x": ["b", 1, 32, "w"]}, {"y": ["b", 1, 32, "w"]}, r"^width: open in x float32 \(\?, 1, 32, \?\); state"),
            (IMAGES | {"n": ["b"]}, {"y": ["b", 1, 32, 400]}, r"^field: the model needs n float32 \(\?\)"),
            (IMAGES, {"y": ["b", 1, 32, 400]}, "^output: not one distribution per line and time step, but shape"),
        ],
        ids=["outputs", "batch", "width", "inputs", "no distribution"],
    )
    def test_a_model_that_is_no_recognizer(self, tmp_path, inputs, outputs, message):
        """What is missing or too much is named."""
        with pytest.raises(InterfaceError, match=message):
            inspect(graph(tmp_path / "own.onnx", inputs, outputs), {}, None)

    def test_custom_operators(self, tmp_path):
        """An operator that the engine does not have is named by the engine."""
        path = graph(tmp_path / "own.onnx", IMAGES, {"y": ["b", 50, 46]}, "Mystery", "own")
        with pytest.raises(InterfaceError, match=r"own.onnx cannot be loaded: .*Mystery"):
            inspect(path, {}, None)

    def test_a_width_that_the_graph_refuses(self, source, tmp_path):
        """A stated width that an inner reshape refuses ends with the engine's message."""
        path = disguise(source, tmp_path / "own.onnx", PADDLE)
        model = onnx.load(path)
        model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "w"
        onnx.save(model, path)
        with pytest.raises(InterfaceError, match=r"own.onnx refuses 3 images of 32 x 200 \(height, width\)"):
            inspect(path, {"width": 200}, None)

    def test_truncated(self, source, tmp_path):
        """A truncated file is named."""
        path = tmp_path / "own.onnx"
        path.write_bytes(source.read_bytes()[:10_000])
        with pytest.raises(InterfaceError, match=r"own.onnx is truncated, or not an ONNX file"):
            inspect(path, {}, None)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("none.onnx", "none.onnx: no such file"),
            (
                "own.pt",
                "own.pt: a pickle can run any code when it is read, so none is read; export the model: torch.onnx",
            ),
            ("own.h5", "own.h5: no engine reads it; known are .onnx, .xml, .tflite, .keras, .pt2, .ts"),
        ],
    )
    def test_no_model(self, tmp_path, name, message):
        """A file of another kind, or none, is one message that says what to do."""
        if "none" not in name:
            (tmp_path / name).write_bytes(b"\x80\x04")
        with pytest.raises(InterfaceError, match=message):
            inspect(tmp_path / name, {}, None)

    def test_two_gibibytes(self, tmp_path):
        """A file that no protocol buffer can hold is refused before it is read."""
        path = tmp_path / "own.onnx"
        with path.open("wb") as file:
            file.truncate(2 * 1024**3)  # a sparse file
        with pytest.raises(InterfaceError, match=r"own.onnx: 2.0 GiB; models of 2 GiB and more are not supported"):
            inspect(path, {}, None)


def command(*arguments):
    """Run ``python -m crnn inspect``."""
    return subprocess.run(
        [sys.executable, "-m", "crnn", "inspect", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


class TestCommand:
    def test_prints_toml_that_can_be_stated(self, paddle, tmp_path):
        """What is printed can be given back, and then nothing is left to find."""
        printed = command(paddle).stdout
        (tmp_path / "own.toml").write_text(printed)
        again = command(paddle, "--interface", tmp_path / "own.toml").stdout

        assert "# CER of the first 64 test lines: 0.0" in printed
        assert "# found, not stated: nothing" in again
        assert [line for line in again.splitlines() if line[0] != "#"] == [
            line for line in printed.splitlines() if line[0] != "#"
        ]

    def test_json_is_the_models(self, paddle):
        """For programs: the model and the notes."""
        said = json.loads(command(paddle, "--json").stdout)

        assert Interface.of(said["model"]["interface"]) == replace(PADDLE, blank=45, alphabet=FIELD_ALPHABET)
        assert said["model"]["without"] == {}

    def test_an_error_is_one_line(self, tmp_path):
        """A user's error is one line on standard error, and status 1."""
        done = command(tmp_path / "none.onnx")

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"error: {tmp_path / 'none.onnx'}: no such file\n"


def test_noise_has_no_alphabet(source, tmp_path):
    """A model that reads nothing is not blamed on its alphabet: no order of the characters helps."""
    model = onnx.load(source)
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 4:
            array = rng.normal(0, 0.05, tensor.dims).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    path = tmp_path / "noise.onnx"
    onnx.save(model, path)

    assert inspect(path, {}, None).cer > 0.5
