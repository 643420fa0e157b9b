"""Weight clustering: k-means, codebooks, packed indices, training of the centroids."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crnn.formats import codebook, pt_file
from crnn.models.config import CRNNConfig
from crnn.optimize.clustering import cluster
from crnn.optimize.recipe import Build, RecipeError
from crnn.tests.test_models import inputs, torch_model, torch_outputs
from crnn.tests.test_training import ALPHABET, TINY, corpus, lines
from crnn.training.batches import training_batches
from crnn.training.loop import Schedule
from crnn.training.torch_clusterer import TorchClusterer, clustered_names

SCHEDULE = Schedule(epochs=2, batch_size=4)
CLUSTERS = 3


def tiny(seed=1):
    """A small model, with enough weights for a few clusters."""
    return torch_model(TINY, seed)


class TestBits:
    @given(st.integers(1, 8), st.data())
    def test_unpacking_is_the_inverse(self, bits, data):
        """Unpacked indices equal the original ones; packed, they take no more bytes than their bits require."""
        indices = np.array(data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=50)))
        packed = codebook.pack(indices, bits)

        assert codebook.unpack(packed, bits, len(indices)).tolist() == indices.tolist()
        assert packed.nbytes == -(-len(indices) * bits // 8)

    @pytest.mark.parametrize(("clusters", "bits"), [(1, 1), (2, 1), (3, 2), (16, 4), (17, 5), (64, 6)])
    def test_no_more_bits_than_needed(self, clusters, bits):
        """16 clusters take four bits per index, 64 take six."""
        assert codebook.index_bits(clusters) == bits


class TestCodebook:
    @given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=3), elements=st.sampled_from([-1.5, 0.0, 0.25, 3.0])))
    def test_lossless(self, values):
        """A tensor decoded from codebook and indices equals the original."""
        decoded = codebook.decode(codebook.encode(values))

        assert np.array_equal(decoded, values)
        assert decoded.shape == values.shape

    def test_truncated_indices_are_refused(self):
        """Too few indices for the shape are an error."""
        stored = codebook.encode(np.arange(4, dtype=np.float32))
        truncated = codebook.Clustered(stored.codebook, stored.packed[:0], stored.shape)

        with pytest.raises(ValueError, match="0 bytes of indices for 4 weights of 2 bits"):
            codebook.decode(truncated)

    def test_an_index_past_the_codebook_is_refused(self):
        """An index past the end of the codebook is an error."""
        wrong = codebook.Clustered(np.zeros(3, np.float32), codebook.pack(np.array([3]), 2), (1,))

        with pytest.raises(ValueError, match="index 3 in a codebook of 3"):
            codebook.decode(wrong)


class TestKMeans:
    @given(hnp.arrays(np.float32, st.integers(4, 60), elements=st.floats(-2, 2, width=32)), st.integers(1, 4))
    def test_each_centroid_is_the_mean_of_its_values(self, values, clusters):
        """After convergence, each centroid that has values is their mean, and each value has the nearest centroid."""
        centroids = codebook.k_means(values, clusters)
        indices = codebook.nearest(values, centroids)

        assert np.array_equal(np.sort(centroids), centroids)
        for index in np.unique(indices):
            assert values[indices == index].mean() == pytest.approx(centroids[index], abs=1e-4)

    def test_separate_groups(self):
        """The centroids of three separate groups are their means."""
        values = np.array([-1.1, -0.9, 2.0, 4.9, 5.0, 5.1], np.float32)

        assert codebook.k_means(values, 3) == pytest.approx([-1.0, 2.0, 5.0])

    @pytest.mark.parametrize("clusters", [0, 5])
    def test_impossible_cluster_counts(self, clusters):
        """More clusters than weights, or none, is an error."""
        with pytest.raises(ValueError, match=f"{clusters} clusters for 4 weights"):
            codebook.k_means(np.ones(4, np.float32), clusters)


class TestTraining:
    def test_few_values_before_and_after_updates(self):
        """A tensor never has more distinct values than clusters, before or after updates; updates change them."""
        learner, values = TorchClusterer(tiny(), SCHEDULE, CLUSTERS), []
        for batch in training_batches(lines(12, 1), ALPHABET, 4, 1, 0):
            values.append({n: learner.model.get_parameter(n).detach().unique() for n in clustered_names(learner.model)})
            learner.step(batch, 1e-2)

        assert all(len(unique) <= CLUSTERS for step in values for unique in step.values())
        assert not any(torch.equal(values[0][name], values[-1][name]) for name in values[0])

    def test_a_centroid_has_the_gradients_of_its_weights(self):
        """A step of plain SGD moves a centroid by the sum of its weights' gradients."""
        learner = TorchClusterer(tiny(), Schedule(batch_size=4, clip_norm=1e9), CLUSTERS)
        learner._optimizer = torch.optim.SGD(learner._optimizer.param_groups[0]["params"])
        batch = next(training_batches(lines(4, 1), ALPHABET, 4, 1, 0))
        name = "classifier.weight"
        before, indices = learner._centroids[name].detach().clone(), learner._indices[name]
        learner.model.train()
        learner._batch_loss(learner._logits(batch.images, batch.field), batch).backward()
        weights = learner.model.get_parameter(name).grad.clone()
        learner.step(batch, 1e-3)
        moved = (before - learner._centroids[name].detach()) / 1e-3

        sums = [float(weights[indices == cluster].sum()) for cluster in range(CLUSTERS)]
        assert moved.tolist() == pytest.approx(sums, rel=1e-2, abs=1e-3)

    def test_assignment_is_fixed(self):
        """Weights with equal values still have equal values after an update."""
        learner = TorchClusterer(tiny(), SCHEDULE, CLUSTERS)
        before = learner.model.classifier.weight.detach().clone()
        learner.step(next(training_batches(lines(4, 1), ALPHABET, 4, 1, 0)), 1e-2)
        after = learner.model.classifier.weight.detach()

        assert all(len(after[before == value].unique()) == 1 for value in before.unique())


class TestArtifact:
    def built(self, tmp_path, **options):
        """The recipe's build from a tiny parent, and its notes."""
        parent = tmp_path / "parent.pt"
        pt_file.save(tiny(), parent)
        build = Build("tiny", parent, tmp_path / "tiny.pt", corpus(), tmp_path / "tiny.npz", ALPHABET)
        return build, cluster(build, **{"epochs": 1, "batch_size": 4, "clusters": CLUSTERS} | options)

    def test_file_gives_the_trained_weights(self, tmp_path):
        """A model loaded from codebooks and indices has the weights and outputs of the saved one."""
        model = TorchClusterer(tiny(), SCHEDULE, CLUSTERS).model
        pt_file.save_clustered(model, tmp_path / "model.pt")
        batch, weights = inputs(), model.state_dict()
        # As in the learner: in another memory format a convolution rounds differently.
        loaded = pt_file.load(tmp_path / "model.pt").to(memory_format=torch.channels_last)

        assert all(torch.equal(tensor, weights[name]) for name, tensor in loaded.state_dict().items())
        assert np.array_equal(torch_outputs(loaded, batch), torch_outputs(model.eval(), batch))

    def test_file_is_smaller(self, tmp_path):
        """At full size, 16 clusters take an eighth of the bytes of floats, plus a little for names and biases."""
        learner = TorchClusterer(torch_model(CRNNConfig()), SCHEDULE, 16)
        pt_file.save_clustered(learner.model, tmp_path / "model.pt")

        assert (tmp_path / "model.pt").stat().st_size < 1_492_398 * 4 / 8 + 60_000

    def test_recipe(self, tmp_path):
        """The artifact has few distinct values per tensor; the notes give the bytes of the same weights as floats."""
        build, notes = self.built(tmp_path)
        model = pt_file.load(build.target)

        assert all(len(model.get_parameter(name).unique()) <= CLUSTERS for name in clustered_names(model))
        assert notes["dense_bytes"] > notes["dense_compressed_bytes"] > 0
        assert sorted(path.name for path in tmp_path.iterdir()) == ["parent.pt", "tiny.npz", "tiny.pt"]

    def test_more_clusters_than_weights(self, tmp_path):
        """A tensor with fewer weights than clusters is an error that names it, before any training."""
        with pytest.raises(RecipeError, match=r"blocks\.0\.conv\.weight: 19 clusters for 18 weights"):
            self.built(tmp_path, clusters=19)
        assert not (tmp_path / "tiny.npz").exists()
