"""Where Pillow is not installed the shipped lines are decoded by numpy, to the same pixels."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.corpus import CorpusError, open_corpus, synthetic
from crnn.corpus.jpeg import decoded


def encoded(pixels, **options):
    """A JPEG of these pixels, by Pillow."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", **options)
    return target.getvalue()


def by_pillow(content):
    """What Pillow makes of a JPEG."""
    return np.asarray(Image.open(io.BytesIO(content)))


class TestPixels:
    def test_shipped_lines(self):
        """Of the frozen test split each hundredth line has Pillow's pixels."""
        with zipfile.ZipFile(synthetic.SHIPPED) as archive:
            files = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")][::100]

        assert all(np.array_equal(decoded(file), by_pillow(file)) for file in files)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 100), st.booleans(), st.integers(0, 2**32 - 1))
    def test_any_grey_picture(self, height, width, quality, optimize, seed):
        """Noise of any size and quality, the hardest picture there is, comes out as by Pillow."""
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
        content = encoded(pixels, quality=quality, optimize=optimize)

        assert np.array_equal(decoded(content), by_pillow(content))

    def test_the_corpus_is_the_same(self):
        """With nothing but numpy the suite's modules load, and it is the same corpus by its hash."""
        hidden = "PIL faker tqdm h5py matplotlib rapidfuzz scipy torch tensorflow tf_keras onnx onnxruntime filelock"
        program = (
            f"import sys; sys.modules |= dict.fromkeys({hidden.split()!r})\n"
            "import crnn.measure.accuracy, crnn.report, crnn.measure.process_pairs, crnn.gate.verdicts\n"
            "from crnn.corpus import open_corpus; print(open_corpus(None).sha256)"
        )
        root = Path(__file__).parents[2]
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True)

        assert done.stdout.strip() == open_corpus(None).sha256


class TestBadInput:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"something else", "not a JPEG"),
            (encoded(np.zeros((8, 8), np.uint8))[:100], "damaged JPEG"),
            (encoded(np.zeros((8, 8), np.uint8))[:-2], "damaged JPEG: it ends early"),
            (encoded(np.zeros((8, 8, 3), np.uint8)), "colour"),
            (encoded(np.zeros((8, 8), np.uint8), progressive=True), "marker 0xc2"),
        ],
        ids=["other", "cut off", "cut off in the scan", "colour", "progressive"],
    )
    def test_refused(self, content, message):
        """What it cannot decode is refused by name, not decoded wrongly."""
        with pytest.raises(ValueError, match=message):
            decoded(content)

    def test_images_of_ones_own(self, monkeypatch, tmp_path):
        """A user's images may be of any kind: Pillow has to be there, and the message says so."""
        monkeypatch.setitem(sys.modules, "PIL", None)

        with pytest.raises(CorpusError, match="needs pillow"):
            open_corpus(tmp_path)
