"""Weight clustering in Keras: the number of distinct values per tensor, and that zeros stay zero."""

import functools
import io
import zipfile

import h5py
import numpy as np
import pytest

from crnn.artifacts import SHIPPED
from crnn.formats import keras_file
from crnn.models import keras_crnn
from crnn.models.config import CRNNConfig
from crnn.optimize.keras_clustering import cluster, wrapped
from crnn.optimize.recipe import Build, RecipeError
from crnn.tests.test_models import SHALLOW, inputs, keras_outputs
from crnn.tests.test_training import ALPHABET, corpus

CLUSTERS = 3


def matrices(model):
    """Filter banks and matrices, by the name of their layer."""
    return {
        f"{layer.name} {index}": weights
        for layer in keras_crnn.weighted_layers(model)
        for index, weights in enumerate(layer.get_weights())
        if weights.ndim > 1
    }


@functools.cache
def shipped_matrices(name):
    """Those of a shipped artifact, by their HDF5 path: building the model would take seconds."""
    with zipfile.ZipFile(SHIPPED / f"{name}.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    found = {}
    with h5py.File(content) as file:
        file.visititems(lambda path, item: found.update({path: item[:]}) if getattr(item, "ndim", 0) > 1 else None)
    assert len(found) == len(CRNNConfig().channels) + 2 * len(CRNNConfig().lstm_units) + 1
    return found


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """The file of a small model in which every other weight of a matrix is zero."""
    keras_crnn.keras.utils.set_random_seed(1)
    model, path = keras_crnn.build(SHALLOW), tmp_path_factory.mktemp("parent") / "parent.keras"
    halves = [w * (np.arange(w.size).reshape(w.shape) % 2 if w.ndim > 1 else 1) for w in model.get_weights()]
    model.set_weights(halves)
    keras_file.save(model, path)
    return path


def build_of(parent, folder, alphabet=ALPHABET):
    """A build from the small model."""
    return Build("tiny", parent, folder / "tiny.keras", corpus(), folder / "tiny.npz", alphabet)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "keeping zeros"])
def clustered(request, parent, tmp_path_factory):
    """A clustered small model, its parent, and whether zeros had to stay."""
    build = build_of(parent, tmp_path_factory.mktemp("clustered"))
    cluster(build, clusters=CLUSTERS, keep_zeros=request.param, batch_size=4, epochs=2)
    return keras_file.load(build.target), keras_file.load(parent), request.param


class TestClustering:
    def test_few_values_per_tensor(self, clustered):
        """Each filter bank and matrix holds at most as many distinct values as requested."""
        assert max(len(np.unique(weights)) for weights in matrices(clustered[0]).values()) <= CLUSTERS

    def test_zeros_stay(self, clustered):
        """If requested, weights that were zero stay zero."""
        model, parent, keep_zeros = clustered
        if keep_zeros:
            zeros = {name: weights == 0 for name, weights in matrices(parent).items()}
            assert all((weights[zeros[name]] == 0).all() for name, weights in matrices(model).items())

    def test_values_were_tuned(self, clustered):
        """Training moved the values away from the initial centroids."""
        model, parent, keep_zeros = clustered
        start = wrapped(parent, CLUSTERS, keep_zeros)
        centroids = [variable.numpy() for variable in start.variables if "cluster_centroids" in variable.name]
        kept = [np.unique(weights) for weights in matrices(model).values()]

        assert not any(np.isin(np.round(values, 6), np.round(c, 6)).all() for values in kept[-1:] for c in centroids)

    def test_wrappers_are_removed(self, clustered):
        """The artifact is an ordinary model with the parent's layers and size; its outputs are finite."""
        model, parent, _ = clustered

        assert [layer.name for layer in model.layers] == [layer.name for layer in parent.layers]
        assert model.count_params() == parent.count_params()
        assert np.isfinite(keras_outputs(model, inputs())).all()


class TestBadInput:
    @pytest.mark.parametrize(
        ("clusters", "message"), [(1, "at least two clusters, not 1"), (17, "has 16 weights, not 17")]
    )
    def test_impossible_clusters(self, clusters, message, parent, tmp_path):
        """Fewer than two clusters, or more than a tensor has weights, are refused before any work."""
        with pytest.raises(RecipeError, match=message):
            cluster(build_of(parent, tmp_path), clusters=clusters)
        assert list(tmp_path.iterdir()) == []

    def test_another_alphabet(self, parent, tmp_path):
        """A parent with another alphabet is refused before any work."""
        with pytest.raises(RecipeError, match="reads the alphabet"):
            cluster(build_of(parent, tmp_path, "абвг"), clusters=CLUSTERS)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "clusters"), [("tf-clustered-16", 16), ("tf-clustered-64", 64), ("tf-magnitude-pruned-clustered", 16)]
)
def test_shipped(name, clusters):
    """No tensor of a shipped artifact has more distinct values than its row states."""
    assert max(len(np.unique(weights)) for weights in shipped_matrices(name).values()) <= clusters


def test_shipped_zeros_stay():
    """Clustering keeps the zeros of the pruned row, and so its sparsity."""
    pruned = shipped_matrices("tf-magnitude-pruned-full")
    both = shipped_matrices("tf-magnitude-pruned-clustered")

    assert all((both[name][weights == 0] == 0).all() for name, weights in pruned.items())


class TestRounding:
    def test_float16_precision(self):
        """Weights are rounded to float16's precision, also below float16's range."""
        weights = np.random.default_rng(1).normal(0, 1, 1000).astype(np.float32)

        assert np.array_equal(keras_file.rounded(weights), weights.astype(np.float16).astype(np.float32))
        assert np.array_equal(keras_file.rounded(weights * np.float32(2**-40)), keras_file.rounded(weights) * 2**-40)
