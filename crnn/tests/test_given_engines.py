"""Models of each kind of file: looked at, loaded by their engine, and what is made of them."""

import io
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest
import torch

from crnn import registry
from crnn.artifacts import SHIPPED
from crnn.corpus import open_corpus
from crnn.corpus.lines import model_inputs
from crnn.formats import program_file
from crnn.formats.counts import count
from crnn.interface import BUILT_IN, Interface
from crnn.measure.conversions import ready
from crnn.optimize.given_files import take_over
from crnn.registry import given
from crnn.registry.given import GivenModel, name_of, rows_of
from crnn.runtimes.base import runtime_class
from crnn.tests.disguised import PADDLE, disguise
from crnn.tests.test_suite import ROOT

MADE = """
import sys
import openvino, torch
from pathlib import Path
from crnn.formats import pt_file
from crnn.models import torch_crnn

source, onnx, folder = map(Path, sys.argv[1:])
model = torch_crnn.LogProbabilities(pt_file.load(source)).eval()
example, batch = (torch.zeros(2, 32, 400), torch.zeros(2, 50, 2)), torch.export.Dim("batch", min=1)
program = torch.export.export(model, example, dynamic_shapes=({0: batch}, {0: batch}))
torch.export.save(program, folder / "program.pt2")
torch.jit.save(torch.jit.trace(model, example), folder / "script.pt")
openvino.save_model(openvino.Core().read_model(onnx), folder / "ir.xml", compress_to_fp16=False)
"""
KERAS = """
import sys
import keras, tensorflow
from pathlib import Path

folder = Path(sys.argv[1])
images = keras.Input((32, 400, 3), name="line")
x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(images)
x = keras.layers.Reshape((100, 8))(keras.layers.MaxPooling2D((16, 2))(x))
model = keras.Model(images, keras.layers.Dense(46, activation="softmax")(x))
model.save(folder / "three.keras")
(folder / "lite.tflite").write_bytes(tensorflow.lite.TFLiteConverter.from_keras_model(model).convert())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of each kind."""
    folder = tmp_path_factory.mktemp("models")
    source = ready(registry.get("ort-torch2onnx"), open_corpus(None))
    shutil.copy(source, folder / "mine.onnx")
    paddle = disguise(source, folder / "paddle.onnx", PADDLE)
    for code, arguments in ((MADE, [SHIPPED / "torch-original.pt", paddle, folder]), (KERAS, [folder])):
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *arguments], cwd=ROOT, capture_output=True, check=True
        )
    shutil.copy(SHIPPED / "tf-original.keras", folder / "two.keras")
    return folder


@pytest.fixture(scope="module")
def lines():
    """Some lines, as every engine gets them."""
    return model_inputs(*open_corpus(None).test.take(range(5)).at(BUILT_IN.frame))


@pytest.fixture(scope="module")
def reference(folder, lines):
    """What the built-in row's engine makes of them."""
    return outputs("onnx", folder / "mine.onnx", {}, lines)


def outputs(runtime, path, options, lines):
    """The outputs of an engine in this process."""
    engine = runtime_class(runtime)()
    engine.load(path, "cpu", **options)
    return engine(*lines)


def inspected(path, *stated):
    """What ``python -m crnn inspect`` says of a file, in a process of its own."""
    command = [sys.executable, "-m", "crnn", "inspect", str(path), "--json", *stated]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr if done.returncode else "") == (0, "")
    said = json.loads(done.stdout)
    return GivenModel(**said["model"]), float(said["notes"][3].rpartition(" ")[2])


class TestSameOutputs:
    def test_our_own_file_bit_by_bit(self, folder, lines, reference):
        """Through its interface the built-in file returns the same bits as its row."""
        interface = Interface.of(inspected(folder / "mine.onnx")[0].interface)
        found = outputs("onnx", folder / "mine.onnx", {"interface": interface.to_json()}, lines)

        assert interface == replace(BUILT_IN, output="log_probs", alphabet=open_corpus(None).alphabet)
        assert found.tobytes() == reference.tobytes()

    @pytest.mark.parametrize("name", ["program.pt2", "script.pt", "ir.xml"])
    def test_the_same_weights_in_another_file(self, folder, tmp_path, lines, reference, name):
        """What is found about another file of the same model makes its engine return nearly the same."""
        stated = []
        if name == "script.pt":
            (tmp_path / "script.toml").write_text(
                'images = "images"\nfield = "field"\nlayout = "BHW"\nheight = 32\nwidth = 400\n'
            )
            stated = ["--interface", str(tmp_path / "script.toml")]
        model, cer = inspected(folder / name, *stated)
        row = rows_of(model)[0]
        artifact = tmp_path / f"model{row.suffix}"
        take_over(folder / name, artifact)
        found = outputs(row.runtime, artifact, row.runtime_options, lines)

        assert cer < (0.1 if name == "ir.xml" else 0.02)
        if name == "ir.xml":
            # It is not told the kind of the lines.
            expected = outputs("onnx", folder / "paddle.onnx", {"interface": model.interface}, lines)
        else:
            expected = reference
        assert found == pytest.approx(expected, abs=2e-3)

    def test_keras_2(self, folder):
        """A file of Keras 2 is read well, with its logits."""
        model, cer = inspected(folder / "two.keras")

        assert (model.interface["values"], cer < 0.02) == ("logits", True)

    def test_keras_3_and_its_lite_file_agree(self, folder, lines):
        """A file of Keras 3, and the LiteRT file that its own converter writes, return the same."""
        found = []
        for name in ("three.keras", "lite.tflite"):
            model, _ = inspected(folder / name)
            # An untrained model does not tell its blank.
            interface = model.interface | {"blank": 0}
            found.append(outputs(rows_of(model)[0].runtime, folder / name, {"interface": interface}, lines))

        assert found[0] == pytest.approx(found[1], abs=1e-3)


class TestCounts:
    @pytest.mark.parametrize("name", ["mine.onnx", "program.pt2", "script.pt", "two.keras"])
    def test_macs_are_those_of_the_original(self, folder, name):
        """Whatever the file, the built-in model has its MACs and about its parameters."""
        kind, original = given.KINDS[f".{name.partition('.')[2]}"], registry.get("torch-original").thresholds
        path = folder / name
        if kind.suffix == ".ts":
            path = shutil.copy(path, folder / "script.ts")
        found = count(path, kind.format, BUILT_IN)

        assert found.macs_per_line == original.macs
        assert found.parameters_stored == pytest.approx(original.parameters, rel=0.002)


class TestRows:
    @pytest.mark.parametrize(
        ("name", "row"),
        [("CRNN v2 (best).onnx", "crnn-v2-best"), ("распознаватель.onnx", "model"), ("a_b.c.onnx", "a-b.c")],
    )
    def test_names(self, tmp_path, name, row):
        """A row has its file's name, in the characters that names of rows have."""
        assert name_of(tmp_path / name) == row

    @pytest.mark.parametrize(
        ("suffix", "ends"),
        [
            (".onnx", {"", "-optimized", "-rewritten", "-int8-dynamic", "-int8-static", "-ov", "-ov-bf16", "-ov-int8"}),
            (".xml", {"", "-bf16", "-int8"}),
            (".pt2", {"", "-channels-last", "-compiled"}),
            (".pt", {"", "-channels-last"}),
            (".keras", {"", "-xla", "-litert"}),
            (".tflite", {""}),
        ],
    )
    def test_what_is_made_of_each_kind(self, suffix, ends):
        """Each kind of file has its children, but for those that cannot be made of this one."""
        model = GivenModel(f"/m/own{suffix}", "", PADDLE.to_json(), {"-rewritten": "why", "-bf16": "why"})
        rows = rows_of(model)

        assert {row.name.removeprefix("own") for row in rows} == ends - {"-rewritten", "-bf16"}
        assert {registry.original_of(row).name for row in rows[:1]} == {"own"}
        assert {row.interface for row in rows} == {PADDLE}

    def test_of_no_pickle(self, tmp_path):
        """A package of torch.export that holds another object than tensors is refused: its pickle would be executed."""

        class Adds(torch.nn.Module):
            def forward(self, x):
                return x + 1

        path, odd = tmp_path / "adds.pt2", tmp_path / "odd.pt2"
        torch.export.save(torch.export.export(Adds(), (torch.zeros(2),)), path)
        program_file.exported(path)
        with zipfile.ZipFile(path) as whole, zipfile.ZipFile(odd, "w") as changed:
            for member in whole.namelist():
                content = whole.read(member)
                if "sample_inputs" in member:
                    content = pickle.dumps(io.BytesIO, protocol=2)
                changed.writestr(member, content)
        with pytest.raises(ValueError, match=r"odd\.pt2 holds a pickle that is no tensor"):
            program_file.exported(odd)
