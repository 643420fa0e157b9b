"""``pytest benchmarks --model``: a user's recognizer and what is made of it, as a user runs it."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from crnn import registry
from crnn.corpus import open_corpus
from crnn.measure.conversions import ready
from crnn.tests.disguised import PADDLE, disguise
from crnn.tests.test_suite import ROOT, own_machine


@pytest.fixture(scope="module")
def source():
    """The ONNX file of the built-in CRNN."""
    return ready(registry.get("ort-torch2onnx"), open_corpus(None))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the suite with options; returns the process, and the saved benchmarks if there are any."""
    cache = tmp_path_factory.mktemp("cache")

    def run(*options):
        out = tmp_path_factory.mktemp("run") / "run.json"
        command = [sys.executable, "-m", "pytest", "benchmarks", f"--benchmark-json={out}", *map(str, options)]
        done = subprocess.run(
            command, cwd=ROOT, env=own_machine(cache), capture_output=True, text=True, check=False, timeout=500
        )
        return done, json.loads(out.read_text())["benchmarks"] if out.exists() and out.stat().st_size else []

    return run


def cers(benchmarks):
    """The CER of each row."""
    infos = [one["extra_info"] for one in benchmarks]
    return {info["variant"]: info["cer_fraction"] for info in infos if "cer_fraction" in info}


@pytest.fixture(scope="module")
def two(run, source, tmp_path_factory):
    """Accuracy of two models in one table: our own file, and the same as PaddleOCR would have it."""
    folder = tmp_path_factory.mktemp("models")
    mine = shutil.copy(source, folder / "mine.onnx")
    paddle = disguise(source, folder / "Paddle_v4.onnx", PADDLE)
    return run(
        "--model", mine, "--model", paddle, "--variants", "mine,paddle*", "--quick", "-k", "accuracy or footprint"
    )


class TestOneTable:
    def test_all_rows_pass(self, two):
        """Both models are measured, one of them with all that can be made of it."""
        done, benchmarks = two

        assert (done.returncode, done.stdout[-3000:] if done.returncode else "") == (0, "")
        ends = ("", "-optimized", "-rewritten", "-int8-dynamic", "-int8-static", "-ov", "-ov-bf16", "-ov-int8")
        assert set(cers(benchmarks)) == {"mine", *(f"paddle-v4{end}" for end in ends)}

    def test_exact_children_read_as_their_parent(self, two):
        """Optimized, rewritten and converted models read every line as the model does; int8 and bfloat16 nearly so."""
        found = cers(two[1])
        off = {name: cer - found["paddle-v4"] for name, cer in found.items() if name != "mine"}

        assert {name for name, change in off.items() if change} <= {
            name for name in off if re.search("int8|bf16", name)
        }
        assert max(map(abs, off.values())) < 0.02
        assert found["mine"] < 0.01

    def test_what_was_found_is_shown(self, two):
        """The head of the run says what was found about each model."""
        said = [line for line in two[0].stdout.splitlines() if line.startswith("model ")]

        assert [line.partition(": ")[2] for line in said if "Paddle" in line][1] == (
            "softmax_0 TBC, 50 time steps, 45 characters, blank 45, probabilities"
        )


TEXTS = '''
"""A recognizer that returns texts: the CRNN behind its own decoder, which is not told the kind of the lines."""

import numpy as np

from crnn.corpus.labels import FIELD_ALPHABET
from crnn.registry import get
from crnn.runtimes import base
from crnn.runtimes.onnx_runtime import Runtime as Onnx
from crnn.text import best_path


class Runtime(base.TextRuntime):
    """Reads with ONNX Runtime."""

    requires, distributions = Onnx.requires, Onnx.distributions

    def load(self, path, device):
        """Load the artifact."""
        self.engine = Onnx()
        self.engine.threads = self.threads
        self.engine.load(path, device)

    def read(self, images):
        """Read a batch, (B, 32, 400): B texts."""
        field = np.tile(np.array([0.5, 0.5], np.float32), (len(images), 50, 1))
        return best_path(self.engine(images, field), FIELD_ALPHABET)

    def describe(self):
        """As the engine inside."""
        return self.engine.describe()


ROW = get("ort-torch2onnx").sibling(
    "own-texts", "texts", runtime="own_texts", max_log_prob_difference=None, max_cer_difference=0.1
)
'''


@pytest.fixture(scope="module")
def texts(run, tmp_path_factory):
    """A quick run of a row that returns texts."""
    path = tmp_path_factory.mktemp("rows") / "own_texts.py"
    path.write_text(TEXTS)
    return run("--registry", path, "--variants", "own-texts", "--quick", "-k", "accuracy or latency")


class TestTexts:
    def test_is_measured(self, texts):
        """It has CER, exact lines and times, compared with its original, and no loss."""
        done, benchmarks = texts
        rows = [one["extra_info"] for one in benchmarks if one["extra_info"]["variant"] == "own-texts"]
        [accuracy] = [info for info in rows if "cer_fraction" in info]

        assert (done.returncode, done.stdout[-3000:] if done.returncode else "") == (0, "")
        assert 0 < accuracy["cer_fraction"] < 0.1
        assert accuracy["exact_lines_fraction"] > 0.5
        assert {key for key in accuracy if "loss" in key} == set()
        assert sorted(info["batch_size_lines"] for info in rows if "latency_median_s" in info) == [1, 32]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--model", "ort-torch2onnx.onnx"],
            "row 'ort-torch2onnx' already; rows are named as the model's file",
        ),
        (["--model", "none.onnx"], "--model none.onnx: "),
        (["--model", "mine.onnx", "--model", "mine.onnx"], "--model: there is a row 'mine' already"),
        (["--model", "mine.onnx", "--interface", "a.toml", "--interface", "b.toml"], "--interface is given 2 times"),
        (["--model", "mine.onnx", "--interface", "odd.toml"], "odd.toml: no key 'heigth'; there are: height"),
        (["--model", "mine.onnx", "--interface", "wrong.toml"], "blank = 45 looks wrong: CER"),
    ],
    ids=["name", "none", "twice", "interfaces", "unknown key", "wrong blank"],
)
def test_one_clear_message(run, source, tmp_path, options, message):
    """What cannot be measured is a usage error of one line."""
    shutil.copy(source, tmp_path / "mine.onnx")
    shutil.copy(source, tmp_path / "ort-torch2onnx.onnx")
    (tmp_path / "odd.toml").write_text("heigth = 32\n")
    (tmp_path / "wrong.toml").write_text("blank = 45\n")
    placed = [str(tmp_path / word) if word.endswith((".onnx", ".toml")) else word for word in options]
    done, _ = run(*placed, "--collect-only")

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert message in done.stderr.replace(f"{tmp_path}/", "")
