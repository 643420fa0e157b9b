"""The field corpus, and user corpora with every kind of fault."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from crnn.corpus import Corpus, CorpusError, open_corpus
from crnn.corpus.labels import FIELD_ALPHABET
from crnn.corpus.lines import DIGITS, LETTERS, model_inputs
from crnn.corpus.synthetic import SHIPPED, SIZES, draw_split, field_test_split, unseen_typeface
from crnn.corpus.user import read_corpus

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data"
needs_real_images = pytest.mark.skipif(not REAL.exists(), reason="the real images are not in the checkout")


@pytest.fixture(scope="module")
def shipped():
    """The shipped test split."""
    return field_test_split()


def write_images(folder, count, size=(60, 20), mode="L", name="{}.png"):
    """Write random images and return their names."""
    rng = np.random.default_rng(1)
    names = [name.format(index) for index in range(count)]
    for name_ in names:
        pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / name_)
    return names


def write_tsv(folder, rows):
    """Write (file, label ...) rows as ``labels.tsv``."""
    (folder / "labels.tsv").write_text("".join("\t".join(row) + "\n" for row in rows), "utf-8")


def write_hdf5(folder, count, labels):
    """Write the form of the original experiment, with ``count`` random images."""
    with h5py.File(folder / "common_fields_images.h5", "w") as file:
        file["images"] = np.random.default_rng(1).integers(0, 256, (count, 32, 400), np.uint8)
        file["additional_bit"] = np.arange(count) % 2
    (folder / "common_fields_labels.txt").write_text(labels, "cp1251")


class TestFieldCorpus:
    def test_sizes(self, shipped):
        """The splits have 16,000, 1,500 and 2,000 lines; images are grey, 32x400."""
        assert list(SIZES.items()) == [("train", 16_000), ("validation", 1_500), ("test", len(shipped))]
        assert (shipped.images.shape, shipped.images.dtype) == ((2000, 32, 400), np.uint8)

    def test_minimal_install(self):
        """With only the minimal packages, the field corpus has the same hash and its import does not load Pillow."""
        hidden = "faker tqdm h5py matplotlib rapidfuzz scipy tensorflow tf_keras onnx onnxruntime"
        program = (
            f"import sys; sys.modules |= dict.fromkeys({hidden.split()!r})\n"
            "from crnn.corpus import open_corpus; print('PIL' in sys.modules, open_corpus(None).sha256)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)

        assert done.stdout.split() == ["False", open_corpus(None).sha256]

    def test_some_labels_and_one_typeface_are_unseen(self, shipped):
        """Unseen labels and the unseen typeface each make up enough test lines for a CER of their own."""
        shares = [np.mean(~shipped.seen), np.mean(unseen_typeface(shipped))]

        assert [0.2 < share < 0.7 for share in shares] == [True, True]

    def test_generator_still_draws_what_is_shipped(self, shipped):
        """The first lines drawn now equal the shipped ones pixel by pixel."""
        drawn = draw_split("test", 8)

        assert drawn.labels == shipped.labels[:8]
        assert np.array_equal(drawn.images, shipped.images[:8])

    def test_training_never_sees_the_unseen_typeface(self):
        """Training lines never use the unseen typeface."""
        assert not unseen_typeface(draw_split("train", 64)).any()

    def test_corrupt_file_is_named(self, tmp_path):
        """One changed byte in the shipped file is an error that names the file, before anything is used."""
        for file in (SHIPPED, SHIPPED.with_suffix(".json")):
            shutil.copy(file, tmp_path)
        broken = tmp_path / SHIPPED.name
        content = bytearray(broken.read_bytes())
        content[5000] ^= 1
        broken.write_bytes(content)

        with pytest.raises(CorpusError, match=r"field-test\.zip is corrupt: SHA-256"):
            field_test_split(broken)

    def test_missing_file_is_named(self, tmp_path):
        """A missing file is an error that names the file and says how to restore it."""
        with pytest.raises(CorpusError, match="draw-corpus"):
            field_test_split(tmp_path / "none.zip")

    def test_manifest(self, shipped):
        """The manifest gives the file's number of lines."""
        assert json.loads(SHIPPED.with_suffix(".json").read_text())["lines"] == len(shipped)


class TestModelInputs:
    def test_field_carries_the_kind(self):
        """Every time step carries the one-hot of the line's kind."""
        images, field = model_inputs(np.full((2, 32, 400), 255, np.uint8), np.array([DIGITS, LETTERS], np.uint8))

        assert (images.max(), images.dtype, field.dtype) == (1.0, np.float32, np.float32)
        assert field.tolist() == [[[1, 0]] * 50, [[0, 1]] * 50]


class TestForms:
    def check(self, folder, count):
        """Read the folder and check that its three splits hold all lines and share no image."""
        corpus = read_corpus(folder)
        splits = [corpus.train, corpus.validation, corpus.test]
        assert sum(map(len, splits)) == count
        assert len({image.tobytes() for split in splits for image in split.images}) == count
        return corpus

    def test_tsv(self, tmp_path):
        """``file <TAB> text`` is read; the kind comes from a third column or from the text."""
        names = write_images(tmp_path, 60, mode="RGB", name="{}.jpg")
        write_tsv(tmp_path, [(name, "12", "letters") if i % 2 else (name, "Я1") for i, name in enumerate(names)])
        corpus = self.check(tmp_path, 60)

        assert corpus.alphabet == "12Я"
        assert set(corpus.train.kinds) == {LETTERS}

    def test_folder_called_field_is_not_the_field_corpus(self, tmp_path):
        """A user's folder named ``field`` does not select the shipped artifacts and thresholds."""
        folder = tmp_path / "field"
        folder.mkdir()
        write_tsv(folder, [(name, "1") for name in write_images(folder, 60)])

        assert self.check(folder, 60).name == "own-field"

    def test_icdar(self, tmp_path):
        """``file, "text"`` is read; the text may contain commas and quotes."""
        names = write_images(tmp_path, 60, name="word_{}.png")
        (tmp_path / "gt.txt").write_text("".join(f'{name}, "a, \\"b\\""\n' for name in names), "utf-8-sig")

        assert self.check(tmp_path, 60).train.labels[0] == 'a, "b"'

    def test_original_experiment(self, tmp_path):
        """Images and kinds are read from HDF5, labels from cp1251; the text does not change the kinds."""
        write_hdf5(tmp_path, 60, "ИВАНОВ\n11\n" * 30)
        corpus = self.check(tmp_path, 60)

        kinds = dict(zip(corpus.train.labels, corpus.train.kinds, strict=True))
        assert kinds == {"ИВАНОВ": DIGITS, "11": LETTERS}

    def test_equal_pictures_share_a_split(self, tmp_path):
        """An image that occurs twice is never in both the training and the test split."""
        names = write_images(tmp_path, 40)
        for name in names:
            shutil.copy(tmp_path / name, tmp_path / f"copy-{name}")
        write_tsv(tmp_path, [(name, "1") for name in names] + [(f"copy-{name}", "1") for name in names])
        corpus = read_corpus(tmp_path)

        assert len(corpus.train) + len(corpus.validation) + len(corpus.test) == 80

    def test_shared_pictures_are_refused(self):
        """A corpus whose splits share an image is refused before training."""
        split = draw_split("test", 2)

        with pytest.raises(CorpusError, match="share images"):
            _ = Corpus("leaky", FIELD_ALPHABET, "", split, lambda: (split, split)).train


class TestBadInput:
    def test_every_fault_is_named_at_once(self, tmp_path):
        """One error names unreadable and missing images, empty and too long labels and bad rows."""
        names = write_images(tmp_path, 7)
        (tmp_path / names[1]).write_bytes(b"not a picture")
        whole = (tmp_path / names[2]).read_bytes()
        (tmp_path / names[2]).write_bytes(whole[: len(whole) // 2])
        rows = [(name, "1") for name in names]
        rows[3], rows[4], rows[5] = (names[3], ""), (names[4], "1" * 26), (names[5],)
        write_tsv(tmp_path, [*rows, ("missing.png", "1")])

        with pytest.raises(CorpusError) as caught:
            read_corpus(tmp_path)
        first, *faults = str(caught.value).splitlines()
        places = ("6: ", "2 (1.png): ", "3 (2.png): ", "4 (3.png): ", "5 (4.png): ", "8 (missing.png): ")
        assert "faults: 6;" in first
        assert all(fault.startswith(f"  labels.tsv:{place}") for fault, place in zip(faults, places, strict=True))
        assert "needs 51 time steps" in faults[4]

    def test_label_outside_the_alphabet(self, tmp_path):
        """With a given alphabet, each unknown character is named with its row."""
        write_tsv(tmp_path, [(write_images(tmp_path, 1)[0], "Ё1")])

        with pytest.raises(CorpusError, match=r"labels\.tsv:1 \(0\.png\): 'Ё' in 'Ё1'"):
            read_corpus(tmp_path, FIELD_ALPHABET)

    @pytest.mark.parametrize(
        ("listing", "message"), [(None, "holds none of"), (b"", "lists no lines"), (b"a.png\t\xff\n", "not utf-8")]
    )
    def test_folder_without_lines(self, tmp_path, listing, message):
        """A missing or empty listing, or one in another encoding, is an error that says so."""
        if listing is not None:
            (tmp_path / "labels.tsv").write_bytes(listing)

        with pytest.raises(CorpusError, match=message):
            read_corpus(tmp_path)

    def test_no_folder(self, tmp_path):
        """A missing folder is an error that says so."""
        with pytest.raises(CorpusError, match="no such folder"):
            read_corpus(tmp_path / "none")

    def test_hdf5_that_does_not_match_its_labels(self, tmp_path):
        """The numbers of images, kinds and labels must be equal."""
        write_hdf5(tmp_path, 3, "1\n2\n")

        with pytest.raises(CorpusError, match="2 labels"):
            read_corpus(tmp_path)

    def test_corrupt_hdf5(self, tmp_path):
        """A file that is not HDF5 is an error that names it."""
        (tmp_path / "common_fields_images.h5").write_bytes(b"no")
        (tmp_path / "common_fields_labels.txt").write_text("1\n", "cp1251")

        with pytest.raises(CorpusError, match=r"common_fields_images\.h5"):
            read_corpus(tmp_path)


@needs_real_images
class TestRealImages:
    def test_captchas(self):
        """All 2,000 colour JPEG images of four digits are read."""
        corpus = read_corpus(REAL / "digits_captcha_henan")

        assert corpus.alphabet == "0123456789"
        assert len(corpus.train) + len(corpus.validation) + len(corpus.test) == 2000

    def test_newspaper_names_its_one_unusable_line(self):
        """One of 517 labels needs more than 50 time steps; the error names it alone."""
        with pytest.raises(CorpusError) as caught:
            read_corpus(REAL / "vyl_tujod_1939_09")

        assert [line.split()[0] for line in str(caught.value).splitlines()[1:]] == ["labels.tsv:478"]
