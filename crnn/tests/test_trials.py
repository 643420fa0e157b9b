"""Scalings and places of the line that are tried on a user's model, and doubts about what is stated."""

import re

import numpy as np
import pytest
from PIL import Image

from crnn import registry
from crnn.corpus import open_corpus
from crnn.corpus.user import read_corpus
from crnn.interface import FIT, PADDINGS, RESIZES, STRETCH, Frame, Interface
from crnn.measure import trials
from crnn.measure.conversions import ready
from crnn.measure.inspection import inspect
from crnn.tests.disguised import PADDLE, disguise
from crnn.text import log_softmax

SHOWN = Interface(height=8, width=64, alphabet="ab", time_steps=2)


def numbers(folder, size=(32, 8), count=80):
    """A corpus of white lines (width, height), each of which says a."""
    folder.mkdir()
    for index in range(count):
        pixels = np.full(size[::-1], 255, np.uint8)
        pixels[index % size[1], index // size[1]] = 200  # no image is like another
        Image.fromarray(pixels).save(folder / f"{index}.png")
    (folder / "labels.tsv").write_text("".join(f"{index}.png\ta\n" for index in range(count)))
    return folder


def reads(level):
    """A model that reads a line if its last column has that level, and else nothing."""

    def output(images, _kinds, _interface):
        logits = np.zeros((len(images), 2, 3), np.float32)
        logits[:, 0, 0] = 9
        right = np.abs(images[:, :, -1].astype(int) - level).max(axis=1) < 3
        logits[right, 1, 1] = 9
        logits[~right, 1, 0] = 9
        return log_softmax(logits)

    return output


def fills(images, kinds, interface):
    """A model that reads lines only if they fill the input."""
    return reads(255 if interface.resize == STRETCH else 300)(images, kinds, interface)


def placed(output, folder, **stated):
    """What is found about a model of a corpus's lines."""
    shown = Interface.of(SHOWN.to_json() | stated)
    lines = read_corpus(folder, models=[shown]).test
    usual = trials.Tried.of(shown, output(*lines.at(shown.frame), shown), lines.labels)
    return trials.better(usual, trials.placed(output, usual, lines), stated)


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """White lines."""
    return numbers(tmp_path_factory.mktemp("corpora") / "white")


class TestPlaced:
    @pytest.mark.parametrize(("padding", "level"), [("black", 0), ("grey", 128)])
    def test_padding_is_found(self, lines, padding, level):
        """The padding with which the lines are read is found."""
        found, doubt = placed(reads(level), lines)

        assert (found.interface.frame, found.cer, doubt) == (Frame(8, 64, FIT, padding), 0, "")

    def test_what_reads_well_is_kept(self, lines):
        """A model that reads as usual is not run again."""
        runs = []

        def output(images, kinds, interface):
            runs.append(interface.frame)
            return reads(255)(images, kinds, interface)

        placed(output, lines)

        assert runs == [Frame(8, 64)]

    def test_what_nothing_improves_is_kept(self, lines):
        """No other place is found for a model that reads nothing anywhere."""
        assert placed(reads(60), lines)[0].interface.frame == Frame(8, 64)

    def test_a_doubtful_padding_is_kept_and_told(self, lines):
        """The note names the key that the user stated, and what reads better."""
        found, doubt = placed(reads(0), lines, padding="white")

        assert found.interface.padding == "white"
        assert re.fullmatch(
            r"padding = 'white' may be wrong: CER 1.0000 on \d+ lines, 0.0000 with padding black", doubt
        )

    def test_no_doubt_about_the_padding_of_a_full_input(self, lines):
        """What is stated beside a line does not matter where the line is found to fill the input."""
        found, doubt = placed(fills, lines, padding="white")

        assert (found.interface.resize, found.cer, doubt) == (STRETCH, 0, "")

    def test_each_place_once(self, lines):
        """Frames that give the same pixels are tried once: a line that fits without loss is not squeezed."""
        tried = []

        def output(images, kinds, interface):
            tried.append(images.tobytes())
            return reads(60)(images, kinds, interface)

        placed(output, lines)

        assert len(tried) == len(set(tried)) < len(RESIZES) * len(PADDINGS)


@pytest.fixture(scope="module")
def source():
    """The ONNX file of the built-in CRNN."""
    return ready(registry.get("ort-torch2onnx"), open_corpus(None))


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """Lines of the field corpus at half their width."""
    folder = tmp_path_factory.mktemp("corpora") / "narrow"
    folder.mkdir()
    test = open_corpus(None).test.take(range(700))
    for index, pixels in enumerate(test.images):
        Image.fromarray(pixels).resize((200, 32), Image.Resampling.LANCZOS).save(folder / f"{index}.png")
    rows = (f"{index}.png\t{label}\n" for index, label in enumerate(test.labels))
    (folder / "labels.tsv").write_text("".join(rows))
    return folder


class TestStretched:
    def test_is_found(self, source, narrow):
        """The CRNN has to get these lines at their full width; the artifact is told so."""
        found = inspect(source, {}, narrow)

        assert (found.interface.resize, found.cer < 0.1) == (STRETCH, True)
        assert found.model.interface["resize"] == STRETCH
        assert "resize" in found.found

    def test_another_is_kept_and_told(self, source, narrow):
        """What is stated otherwise stays, with a note."""
        found = inspect(source, {"resize": FIT}, narrow)

        assert found.interface.resize == FIT
        [said] = [line for line in found.notes() if line.startswith("resize = 'fit' may be wrong: CER ")]
        assert re.search(r"on 64 lines, 0\.0\d+ with resize stretch$", said)


def test_a_doubtful_scaling_is_kept_and_told(source, tmp_path):
    """Another scaling that reads far better is a note: lines unlike those of the training may be read so."""
    found = inspect(disguise(source, tmp_path / "paddle.onnx", PADDLE), {"white": 255.0}, None)

    assert (found.interface.white, found.cer > 0.1) == (255.0, True)
    [said] = [line for line in found.notes() if line.startswith("white = 255.0 may be wrong: CER ")]
    assert re.search(r"on 64 lines, 0\.0\d+ with white 1.0$", said)
