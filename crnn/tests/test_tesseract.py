"""Tesseract as a reference row: its files, its language, what is said where it is missing; and it reads."""

import importlib.util
import os
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from font_roboto import Roboto
from PIL import Image, ImageDraw, ImageFont

from crnn import registry
from crnn.formats import traineddata_file
from crnn.optimize import tesseract
from crnn.optimize.recipe import RecipeError
from crnn.runtimes.tesseract_runtime import Runtime

COUNT, LSTM = 24, 17
WEIGHTS = np.arange(1, 41, dtype=np.uint8)


def written(path, weights=WEIGHTS, network=True):
    """A file whose only components are an unicharset before the network and a version behind it."""
    header = b"\0" + struct.pack("<I", 6) + b"Series" + struct.pack("<bbiiii", 0, 0, 0, 36, 100, len(WEIGHTS))
    component = header + weights.tobytes()
    start = 4 + 8 * COUNT
    offsets = [-1] * COUNT
    offsets[1] = start
    if network:
        offsets[LSTM], offsets[23] = start + 5, start + 5 + len(component)
    body = b"chars" + (component if network else b"") + b"5.3.0"
    path.write_bytes(struct.pack(f"<i{COUNT}q", COUNT, *offsets) + body)
    return path


class TestFile:
    def test_the_network_alone_is_read(self, tmp_path):
        """Other components are not part of it; its header tells how many weights it has."""
        component = traineddata_file.network(written(tmp_path / "a.traineddata"))

        assert component.endswith(WEIGHTS.tobytes())
        assert traineddata_file.weights(component) == len(WEIGHTS)

    @pytest.mark.parametrize("kind", [np.uint8, np.float64])
    def test_a_parameter_per_weight(self, tmp_path, kind):
        """Files of both kinds have as many parameters as weights."""
        path = written(tmp_path / "a.traineddata", WEIGHTS.astype(kind))

        assert [array.size for array in traineddata_file.parameters(path)] == [len(WEIGHTS)]

    def test_no_network(self, tmp_path):
        """A file of Tesseract 3 has none."""
        with pytest.raises(ValueError, match="holds no LSTM network: take a file of Tesseract 4"):
            traineddata_file.network(written(tmp_path / "a.traineddata", network=False))

    def test_truncated(self, tmp_path):
        """A file that ends early is named."""
        path = tmp_path / "a.traineddata"
        path.write_bytes(written(path).read_bytes()[:50])

        with pytest.raises(ValueError, match=r"a\.traineddata is no \.traineddata of Tesseract, or is truncated"):
            traineddata_file.network(path)


class TestLanguage:
    def test_follows_the_alphabet(self):
        """Cyrillic letters are Russian to Tesseract, all else is English."""
        assert [tesseract.language_of(alphabet) for alphabet in ("0123", "абв123", "abc")] == ["eng", "rus", "eng"]

    def test_a_language_that_is_missing(self, tmp_path, monkeypatch):
        """The recipe says which package has it."""
        monkeypatch.setattr(traineddata_file, "_PLACES", ())
        monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))

        with pytest.raises(RecipeError, match="Tesseract has no rus: apt install tesseract-ocr-rus"):
            tesseract.adopt(SimpleNamespace(corpus=SimpleNamespace(alphabet="абв")))

    def test_an_installed_one_is_taken(self, tmp_path, monkeypatch):
        """The artifact is the system's file."""
        monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
        (tmp_path / "rus.traineddata").write_bytes(b"weights")
        build = SimpleNamespace(corpus=SimpleNamespace(alphabet="абв"), target=tmp_path / "tesseract.traineddata")

        assert tesseract.adopt(build) == {"language": "rus", "file": "rus.traineddata"}
        assert build.target.read_bytes() == b"weights"


class TestMissing:
    def test_no_library(self, monkeypatch):
        """Without it, the row is skipped with the command that installs it."""
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

        assert Runtime.unsupported("cpu") == "Tesseract is not installed: pip install tesserocr"

    def test_no_language(self, tmp_path, monkeypatch):
        """Likewise without any language."""
        monkeypatch.setattr(traineddata_file, "_PLACES", ())
        monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))

        assert Runtime.unsupported("cpu").startswith("Tesseract has no language: apt install")


@pytest.fixture
def russian():
    """The installed file of Russian; without it these tests are skipped, and fail in a CI."""
    if reason := Runtime.unsupported("cpu") or ("" if traineddata_file.installed("rus") else "no rus.traineddata"):
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return traineddata_file.installed("rus")


class TestReading:
    def test_lines(self, russian):
        """Printed lines are read, each by itself."""
        labels, font = ["Москва 2026", "ОТДЕЛ 17"], ImageFont.truetype(Roboto, 24)
        images = np.empty((2, 32, 400), np.float32)
        for row, label in enumerate(labels):
            line = Image.new("L", (400, 32), 255)
            ImageDraw.Draw(line).text((8, 1), label, fill=0, font=font)
            images[row] = np.asarray(line, np.float32) / 255
        runtime = Runtime()
        runtime.load(russian, "cpu")

        assert runtime.read(images) == labels
        assert runtime.describe()["engine"].startswith("Tesseract 5")

    def test_counts_of_the_installed_file(self, russian):
        """The network of Russian has some hundred thousand weights, and most are not zero."""
        [stored] = traineddata_file.parameters(russian)

        assert 100_000 < stored.size < 20_000_000
        assert np.count_nonzero(stored) > 0.5 * stored.size

    def test_the_row(self):
        """It is an original that was not trained here, and in no baseline."""
        row = registry.get("tesseract")

        assert (row.parent, row.trained, row.unmeasured, row.watched) == (None, False, True, False)
