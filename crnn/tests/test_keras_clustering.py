"""Weight sharing in Keras: how many values a tensor keeps, and that zeros stay where they were."""

import numpy as np
import pytest

from crnn.artifacts import SHIPPED
from crnn.models import keras_crnn
from crnn.optimize.keras_clustering import cluster, wrapped
from crnn.optimize.recipe import Build, RecipeError
from crnn.tests.test_models import inputs, keras_answers
from crnn.tests.test_training import ALPHABET, TINY, corpus

CLUSTERS = 3


def matrices(model):
    """Filter banks and matrices, by the name of their layer."""
    return {
        f"{layer.name} {index}": weights
        for layer in keras_crnn.weighted_layers(model)
        for index, weights in enumerate(layer.get_weights())
        if weights.ndim > 1
    }


def build_of(tmp_path, alphabet=ALPHABET, **options):
    """A build from a tiny model in which every other weight of a matrix is zero."""
    keras_crnn.keras.utils.set_random_seed(1)
    model, parent = keras_crnn.build(TINY), tmp_path / "parent.keras"
    halves = [w * (np.arange(w.size).reshape(w.shape) % 2 if w.ndim > 1 else 1) for w in model.get_weights()]
    model.set_weights(halves)
    keras_file.save(model, parent)
    given = {"clusters": CLUSTERS, "batch_size": 4, "epochs": 2} | options
    return Build("tiny", parent, tmp_path / "tiny.keras", corpus(), tmp_path / "tiny.npz", given, alphabet)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "keeping zeros"])
def clustered(request, tmp_path_factory):
    """A clustered tiny model, its parent, and the build that made it."""
    build = build_of(tmp_path_factory.mktemp("clustered"), keep_zeros=request.param)
    cluster(build)
    return keras_file.load(build.target), keras_file.load(build.parent), build


class TestClustering:
    def test_few_values_a_tensor(self, clustered):
        """Each filter bank and matrix holds at most as many values as were asked for."""
        assert max(len(np.unique(weights)) for weights in matrices(clustered[0]).values()) <= CLUSTERS

    def test_zeros_stay(self, clustered):
        """Where it was asked for, what was zero is zero."""
        model, parent, build = clustered
        if build.options["keep_zeros"]:
            zeros = {name: weights == 0 for name, weights in matrices(parent).items()}
            assert all((weights[zeros[name]] == 0).all() for name, weights in matrices(model).items())

    def test_values_were_tuned(self, clustered):
        """The values are not those that the weights were clustered to: training moved them."""
        model, parent, build = clustered
        start = wrapped(parent, CLUSTERS, build.options["keep_zeros"])
        centroids = [variable.numpy() for variable in start.variables if "cluster_centroids" in variable.name]
        kept = [np.unique(weights) for weights in matrices(model).values()]

        assert not any(np.isin(np.round(values, 6), np.round(c, 6)).all() for values in kept[-1:] for c in centroids)

    def test_wrappers_are_gone(self, clustered):
        """The artifact is an ordinary model of the parent's layers and size, and answers."""
        model, parent, _ = clustered

        assert [layer.name for layer in model.layers] == [layer.name for layer in parent.layers]
        assert model.count_params() == parent.count_params()
        assert np.isfinite(keras_answers(model, inputs())).all()


class TestBadInput:
    @pytest.mark.parametrize(
        ("clusters", "message"), [(1, "at least two clusters, not 1"), (17, "has 16 weights, not 17")]
    )
    def test_impossible_clusters(self, clusters, message, tmp_path):
        """Fewer than two clusters, or more than a tensor has weights, are refused before any work."""
        build = build_of(tmp_path, clusters=clusters)

        with pytest.raises(RecipeError, match=message):
            cluster(build)
        assert list(tmp_path.iterdir()) == [build.parent]

    def test_another_alphabet(self, tmp_path):
        """So is a parent that reads other characters."""
        with pytest.raises(RecipeError, match="reads the alphabet"):
            cluster(build_of(tmp_path, "абвг"))


@pytest.mark.parametrize(
    ("name", "clusters"), [("tf-clustered-16", 16), ("tf-clustered-64", 64), ("tf-magnitude-pruned-clustered", 16)]
)
def test_shipped(name, clusters):
    """No tensor of the shipped rows has more values than its row says."""
    model = keras_file.load(SHIPPED / f"{name}.keras")

    assert max(len(np.unique(weights)) for weights in matrices(model).values()) <= clusters


def test_shipped_zeros_stay():
    """Clustering kept the zeros of the pruned row, and with them its sparsity."""
    pruned = matrices(keras_file.load(SHIPPED / "tf-magnitude-pruned-full.keras"))
    both = matrices(keras_file.load(SHIPPED / "tf-magnitude-pruned-clustered.keras"))

    assert all((both[name][weights == 0] == 0).all() for name, weights in pruned.items())


class TestRounding:
    def test_float16s_precision(self):
        """Weights are rounded as float16 would round them, also where float16 has no such small numbers."""
        weights = np.random.default_rng(1).normal(0, 1, 1000).astype(np.float32)

        assert np.array_equal(keras_file.rounded(weights), weights.astype(np.float16).astype(np.float32))
        assert np.array_equal(keras_file.rounded(weights * np.float32(2**-40)), keras_file.rounded(weights) * 2**-40)
