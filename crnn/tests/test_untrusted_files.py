"""Files from unknown sources: a ``.keras`` file runs no code, and a corpus reads nothing outside its folder."""

import os
import re
import signal

import h5py
import numpy as np
import pytest
from PIL import Image

from crnn.corpus import CorpusError
from crnn.corpus.images import MAX_PIXELS
from crnn.corpus.user import read_corpus
from crnn.formats import keras_file
from crnn.models import keras_crnn


@pytest.fixture
def marker(tmp_path):
    """The file that the code in a model's file would create."""
    return tmp_path / "marker"


@pytest.fixture
def trap(marker):
    """A model whose Lambda layer creates the marker when it is built."""
    layers = keras_crnn.keras.layers
    spring = layers.Lambda(lambda x, path=str(marker): (open(path, "w").close(), x)[1])  # noqa: PTH123
    model = keras_crnn.keras.Sequential([layers.InputLayer((1,)), spring])
    marker.unlink()
    return model


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
class TestKerasFiles:
    @pytest.mark.parametrize(("name", "appended"), [("model.keras", False), ("model.h5", True)])
    def test_hdf5_is_refused(self, tmp_path, trap, marker, name, appended):
        """HDF5 is refused, even if it ends in a ZIP archive: Keras would run the code of its Lambda layer."""
        trap.save(tmp_path / "saved.h5")
        trap.save(tmp_path / "saved.keras")
        archive = (tmp_path / "saved.keras").read_bytes() if appended else b""
        (tmp_path / name).write_bytes((tmp_path / "saved.h5").read_bytes() + archive)

        with pytest.raises(ValueError, match=rf"{name}: not a model that Keras reads: no \.keras archive"):
            keras_file.load(tmp_path / name)
        assert not marker.exists()

    def test_lambda_layer_is_refused(self, tmp_path, trap, marker):
        """A ``.keras`` archive with a Lambda layer is refused before its code runs."""
        trap.save(tmp_path / "model.keras")

        with pytest.raises(ValueError, match=r"model\.keras: .*Lambda layer"):
            keras_file.load(tmp_path / "model.keras")
        assert not marker.exists()


@pytest.fixture
def time_limit():
    """Fail a test that blocks, instead of hanging the run."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("blocked for 10 s"))
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("time_limit")
class TestCorpusFiles:
    def write_hdf5(self, folder):
        """Write one line in the form of the original experiment."""
        with h5py.File(folder / "common_fields_images.h5", "w") as file:
            file["images"], file["additional_bit"] = np.zeros((1, 32, 400), np.uint8), [1]
        (folder / "common_fields_labels.txt").write_text("1\n", "cp1251")

    def test_images(self, tmp_path):
        """One error names files outside the folder, files that are not regular, and images that are too large."""
        folder, outside = tmp_path / "corpus", tmp_path / "outside.png"
        folder.mkdir()
        Image.new("L", (50, 20)).save(outside)
        (folder / "link.png").symlink_to(outside)
        os.mkfifo(folder / "pipe.png")
        for height in (1, 2, 3):  # too large; Pillow warns too; Pillow refuses too
            (folder / f"{height}.pgm").write_text(f"P5 {MAX_PIXELS + 1} {height} 255\n")  # a header without pixels
        expected = dict.fromkeys((str(outside), "../outside.png", "link.png", "/dev/zero"), "outside the corpus folder")
        expected |= {"pipe.png": "not a regular file"}
        expected |= dict.fromkeys(("1.pgm", "2.pgm", "3.pgm"), "more than 64 megapixels")
        (folder / "labels.tsv").write_text("".join(f"{name}\t1\n" for name in expected))

        with pytest.raises(CorpusError) as caught:
            read_corpus(folder)
        faults = str(caught.value).splitlines()[1:]
        for row, (fault, (name, message)) in enumerate(zip(faults, expected.items(), strict=True), 1):
            assert re.match(rf"  labels\.tsv:{row} \({re.escape(name)}\): .*{message}", fault)

    @pytest.mark.parametrize("name", ["labels.tsv", "gt.txt", "common_fields_labels.txt", "common_fields_images.h5"])
    def test_fifo(self, tmp_path, name):
        """A FIFO in place of a listing or the HDF5 file is not opened."""
        self.write_hdf5(tmp_path)
        (tmp_path / name).unlink(missing_ok=True)
        os.mkfifo(tmp_path / name)

        with pytest.raises(CorpusError, match=rf"{name}: not a regular file"):
            read_corpus(tmp_path)

    @pytest.mark.parametrize("name", ["labels.tsv", "common_fields_images.h5"])
    def test_link_that_leads_outside(self, tmp_path, name):
        """A link to a listing or to an HDF5 file outside the folder is refused."""
        folder = tmp_path / "corpus"
        folder.mkdir()
        self.write_hdf5(folder)
        (tmp_path / name).write_bytes(b"a.png\t1\n")
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(tmp_path / name)

        with pytest.raises(CorpusError, match=rf"{name}: {tmp_path / name} is outside the corpus folder"):
            read_corpus(folder)

    @pytest.mark.parametrize("kind", ["link", "storage"])
    def test_hdf5_with_data_in_another_file(self, tmp_path, kind):
        """HDF5 that refers to data in another file is refused."""
        self.write_hdf5(tmp_path)
        with h5py.File(tmp_path / "common_fields_images.h5", "a") as file:
            del file["images"]
            if kind == "link":
                file["images"] = h5py.ExternalLink("/elsewhere.h5", "images")
            else:
                file.create_dataset("images", (1, 32, 400), np.uint8, external=[("/dev/zero", 0, 12_800)])

        with pytest.raises(CorpusError, match="no dataset images with its data in this file"):
            read_corpus(tmp_path)
