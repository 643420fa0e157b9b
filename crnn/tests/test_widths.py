"""Lines of any size: the corpus's own, chosen or given, and the models that read them."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from crnn import registry
from crnn.artifacts import corpus_words, location, remedy
from crnn.corpus import CorpusError, open_corpus, parsed_height, parsed_width
from crnn.corpus.user import read_corpus
from crnn.formats.counts import macs_of_config
from crnn.interface import BUILT_IN, Frame
from crnn.measure.workload import Workload
from crnn.models.config import CRNNConfig
from crnn.models.conv_config import ConvConfig
from crnn.optimize.calibration import inputs_of
from crnn.tests.test_suite import ROOT, own_machine

LINES, LONG = 60, "12" * 20
"""One label needs 40 time steps, the others 3."""


def write(folder, size, labels):
    """A corpus of noise: images of one size (width, height)."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(len(labels)):
        Image.fromarray(rng.integers(0, 256, size[::-1], np.uint8)).save(folder / f"{index}.png")
    rows = (f"{index}.png\t{label}\n" for index, label in enumerate(labels))
    (folder / "labels.tsv").write_text("".join(rows))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images that are 96 pixels wide at a height of 32; one label needs 40 time steps."""
    labels = [LONG, *(f"{index:03}" for index in range(1, LINES))]
    return write(tmp_path_factory.mktemp("corpora") / "narrow", (192, 64), labels)


class TestReading:
    def test_a_given_width(self, folder):
        """Images have it; anchors get the usual size beside it."""
        corpus = read_corpus(folder, width=320)

        assert corpus.width == 320
        assert corpus.test.images.shape[1:] == (32, 320)
        assert {frame: images.shape[1:] for frame, images in corpus.test.resized.items()} == {BUILT_IN.frame: (32, 400)}

    def test_chosen_by_labels(self, folder):
        """Where the labels need more room than the images, they decide: 3 and 40 steps of 8 pixels, in 32s."""
        corpus = read_corpus(folder, width="auto")

        assert corpus.width == 320
        assert corpus.notes == [
            "width 320, 40 time steps: 99% of the lines are at most 96 pixels wide at a height of 32, "
            "and their labels need at most 40 time steps"
        ]

    def test_chosen_by_images(self, tmp_path):
        """Where the images need more room, they decide."""
        corpus = read_corpus(write(tmp_path / "wide", (1_200, 50), ["1"] * LINES), width="auto")

        assert corpus.width == 768

    def test_lines_that_do_not_fit_are_named(self, folder):
        """A label that needs more time steps is an error that names it, and what to do."""
        with pytest.raises(CorpusError) as raised:
            read_corpus(folder, width=160)

        assert str(raised.value).splitlines() == [
            f"corpus {folder}: faults: 1; --width auto fits more lines, --skip-unfit leaves the others out",
            f"  labels.tsv:1 (0.png): {LONG!r} needs 40 time steps, the model has 20",
        ]

    def test_lines_that_do_not_fit_are_left_out(self, folder):
        """They are counted, and in no split."""
        corpus = read_corpus(folder, width=160, skip_unfit=True)
        splits = (corpus.train, corpus.validation, corpus.test)

        assert corpus.notes == [f"1 of {LINES} lines need more than 20 time steps, left out: labels.tsv:1 (0.png) (40)"]
        assert corpus.left_out == ["labels.tsv:1 (0.png) (40)"]
        assert sum(map(len, splits)) == LINES - 1
        assert LONG not in {label for lines in splits for label in lines.labels}

    def test_no_line_fits(self, folder):
        """Where none is left, that is said."""
        with pytest.raises(CorpusError, match="no line fits 1 time steps; take a larger --width"):
            read_corpus(folder, width=8, skip_unfit=True)

    @pytest.mark.parametrize(("text", "value"), [("auto", "auto"), ("640", 640)])
    def test_widths(self, text, value):
        """A width is chosen, or a number of pixels."""
        assert parsed_width(text) == value

    @pytest.mark.parametrize("text", ["", "wide", "0", "-8", "404", "4.5"])
    def test_no_widths(self, text):
        """Time steps are of eight pixels."""
        with pytest.raises(CorpusError, match=f"--width {text}: expected auto or a multiple of 8 pixels"):
            parsed_width(text)

    def test_the_field_corpus_has_its_own(self):
        """Its lines are drawn at one size."""
        with pytest.raises(CorpusError, match="--width 640: the lines of the field corpus are 400 pixels wide"):
            open_corpus(None, width=640)
        with pytest.raises(CorpusError, match="--height 48: the lines of the field corpus are 32 pixels high"):
            open_corpus(None, height=48)

    def test_heights(self, folder):
        """Images have the given height, and a width is chosen for it."""
        corpus = read_corpus(write(folder.parent / "wide at 64", (1_200, 50), ["1"] * LINES), height=64, width="auto")

        assert corpus.size == (64, 1536)

    @pytest.mark.parametrize("text", ["", "auto", "0", "40", "-16"])
    def test_no_heights(self, text):
        """The last pool of the CRNN takes whole rows."""
        with pytest.raises(CorpusError, match=f"--height {text}: expected a multiple of 16 pixels"):
            parsed_height(text)


class TestModels:
    @pytest.mark.parametrize("pixels", [64, 400, 1_000])
    def test_configs(self, pixels):
        """Both architectures have a time step per eight pixels, and keep an unusual width in their JSON."""
        for config in (CRNNConfig(width=pixels), ConvConfig(width=pixels)):
            values = config.to_json()

            assert config.time_steps == pixels // 8
            assert values.get("width") == (None if pixels == 400 else pixels)
            assert type(config).from_json(values) == config

    @pytest.mark.parametrize("height", [16, 48, 64])
    def test_heights(self, folder, height):
        """The CRNN's last pool takes the rows that its first ones leave, so a time step has as many features."""
        config = CRNNConfig.of_corpus(read_corpus(folder, height=height))

        assert (config.height, config.pools[-1], config.time_steps) == (height, (height // 16, 1), 50)
        assert CRNNConfig.from_json(config.to_json()) == config
        assert ConvConfig.from_json(ConvConfig(height=height).to_json()).height == height

    def test_macs_grow_with_the_width(self):
        """The figures in crnn/corpus/README.md, in millions."""
        found = [macs_of_config(CRNNConfig(width=pixels)) / 1e6 for pixels in (400, 640, 960)]

        assert list(map(round, found)) == [234, 374, 561]

    def test_rows_read_the_corpus_width(self, folder, tmp_path):
        """A built-in row reads lines of the corpus's width, and its worker is told; an anchor reads the usual ones."""
        corpus, artifact = read_corpus(folder, width=320), tmp_path / "model"
        artifact.write_bytes(b"")
        workload = Workload.of(registry.get("ov-fp32"), artifact, corpus)

        assert (workload.frame, workload.load_request("cpu", None)[-1]) == (Frame(32, 320), 320)
        assert Workload.of(registry.get("ov-fp32"), artifact, read_corpus(folder, height=48)).load_request("cpu", None)[
            -2:
        ] == (400, 48)
        assert Workload("anchor", "x").frame == Frame(32, 400)
        assert [images.shape for images in inputs_of(corpus.validation, 2)] == [(2, 32, 320), (2, 40, 2)]

    def test_each_width_has_its_artifacts(self, folder):
        """Artifacts of two widths lie apart, and the command for one names its width."""
        narrow, wide = (read_corpus(folder, width=pixels, skip_unfit=True) for pixels in (160, 640))
        row = registry.get("torch-original")

        assert location(row, narrow) != location(row, wide)
        assert corpus_words(narrow, folder) == ["--corpus", str(folder), "--width", "160", "--skip-unfit"]
        assert remedy(row, wide) == "`python -m crnn build torch-original --corpus FOLDER --width 640` builds it"

    def test_each_height_too(self, folder):
        """As each width."""
        row, high = registry.get("torch-original"), read_corpus(folder, height=64)

        assert remedy(row, high) == "`python -m crnn build torch-original --corpus FOLDER --height 64` builds it"


ROWS = "torch-original,torch-int8-dynamic,ort-torch2onnx,ort-rewritten,ort-int8-static,ov-fp32,ov-int8,ncnn-fp32"


class TestWholeWay:
    def test_train_and_measure(self, folder, tmp_path):
        """The original is trained at another size, its conversions are built, and all of them agree with it."""
        words = ["--corpus", str(folder), "--height", "48", "--width", "320"]
        environment = own_machine(tmp_path)
        out = f"--benchmark-json={tmp_path / 'run.json'}"
        for command in (
            ["crnn", "train", "--framework", "torch", "--epochs", "1", "--batch-size", "4"],
            ["pytest", "benchmarks", "--quick", "-k", "accuracy or latency", "--variants", ROWS, out],
        ):
            done = subprocess.run(
                [sys.executable, "-m", *command, *words],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )

            assert (done.returncode, done.stdout[-3000:] + done.stderr[-2000:] if done.returncode else "") == (0, "")
