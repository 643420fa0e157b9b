"""A user's model in several files: a graph, and its weights beside it."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest

from crnn import registry
from crnn.corpus import open_corpus
from crnn.corpus.lines import model_inputs
from crnn.interface import BUILT_IN, InterfaceError
from crnn.measure.conversions import ready
from crnn.measure.inspection import inspect
from crnn.optimize.given import adopt
from crnn.optimize.given_files import sha256_of, take_over
from crnn.optimize.recipe import RecipeError
from crnn.registry.given import name_of
from crnn.runtimes.onnx_runtime import Runtime


@pytest.fixture(scope="module")
def source():
    """The ONNX file of the built-in CRNN."""
    return ready(registry.get("ort-torch2onnx"), open_corpus(None))


@pytest.fixture
def split(source, tmp_path):
    """The same with its weights in another file, as ``torch.onnx.export`` writes it."""
    onnx.save(
        onnx.load(source), tmp_path / "own.onnx", save_as_external_data=True, location="own.onnx.data", size_threshold=0
    )
    return tmp_path / "own.onnx"


def outputs(path):
    """What the engine returns for some lines."""
    engine = Runtime()
    engine.load(path, "cpu")
    return engine(*model_inputs(*open_corpus(None).test.take(range(3)).at(BUILT_IN.frame)))


class TestWeightsBesideTheGraph:
    def test_artifact_is_one_file(self, source, split, tmp_path):
        """The weights move into the artifact, which returns the same bits wherever it lies."""
        sha256 = inspect(split, {}, None).model.sha256
        target = tmp_path / "elsewhere" / "model.onnx"
        target.parent.mkdir()
        adopt(SimpleNamespace(target=target), source=str(split), sha256=sha256)
        split.with_name("own.onnx.data").unlink()

        assert outputs(target).tobytes() == outputs(source).tobytes()

    def test_missing_weights_are_named(self, split):
        """A graph that was copied without its weights is refused with the name of their file."""
        split.with_name("own.onnx.data").unlink()
        with pytest.raises(InterfaceError, match=r"own.onnx cannot be loaded: .*own.onnx.data"):
            inspect(split, {}, None)

    def test_other_weights_are_another_model(self, split, tmp_path):
        """A model whose weights were replaced after it had been looked at is not measured as the first one."""
        sha256, weights = sha256_of(split), split.with_name("own.onnx.data")
        weights.write_bytes(weights.read_bytes()[::-1])
        with pytest.raises(RecipeError, match=r"own.onnx has changed since it was looked at: SHA-256 "):
            adopt(SimpleNamespace(target=tmp_path / "model.onnx"), source=str(split), sha256=sha256)

    def test_together_they_are_too_large(self, split):
        """Two gibibytes are the limit of all files of a model."""
        with split.with_name("own.onnx.data").open("wb") as file:
            file.truncate(2 * 1024**3 - 100)  # a sparse file
        with pytest.raises(InterfaceError, match=r"own.onnx: 2.0 GiB; models of 2 GiB and more are not supported"):
            inspect(split, {}, None)


class TestSha256:
    def test_of_one_file(self, source):
        """That of a model in one file is the file's."""
        assert sha256_of(source) == hashlib.sha256(source.read_bytes()).hexdigest()

    def test_of_an_openvino_pair(self, tmp_path):
        """The weights of an OpenVINO model count."""
        (tmp_path / "own.xml").write_text("<net/>")
        seen = []
        for weights in (b"one", b"two"):
            (tmp_path / "own.bin").write_bytes(weights)
            seen.append(sha256_of(tmp_path / "own.xml"))

        assert seen[0] != seen[1]


class TestLink:
    def test_a_link_has_its_own_name(self, source, tmp_path):
        """A row is named as the user names the file, even where that is a link, as in a cache of downloads."""
        (tmp_path / "blob").write_bytes(source.read_bytes())
        (tmp_path / "reader.onnx").symlink_to(tmp_path / "blob")
        model = inspect(tmp_path / "reader.onnx", {}, None).model
        take_over(tmp_path / "reader.onnx", tmp_path / "model.onnx")

        assert name_of(Path(model.path)) == "reader"
        assert model.path == str(tmp_path / "reader.onnx")
        assert (tmp_path / "model.onnx").read_bytes() == source.read_bytes()
