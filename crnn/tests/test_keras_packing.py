"""Packing in Keras: only the weights' low bits and the archive's compression change."""

import zipfile

import numpy as np

from crnn.formats import keras_file
from crnn.models import keras_crnn
from crnn.optimize.keras_packing import pack
from crnn.optimize.recipe import Build
from crnn.tests.test_models import SHALLOW
from crnn.tests.test_training import ALPHABET, corpus


def test_weights_are_rounded_and_the_archive_compressed(tmp_path):
    """The packed file holds the parent's weights, rounded, in an LZMA archive; the parent stays as it is."""
    parent, target = tmp_path / "parent.keras", tmp_path / "packed.keras"
    keras_file.save(keras_crnn.build(SHALLOW), parent)
    before = parent.read_bytes()
    pack(Build("packed", parent, target, corpus(), tmp_path / "packed.npz", ALPHABET))
    weights = [keras_file.load(path).get_weights() for path in (parent, target)]

    with zipfile.ZipFile(target) as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_LZMA}
    assert all(np.array_equal(keras_file.rounded(old), new) for old, new in zip(*weights, strict=True))
    assert parent.read_bytes() == before
