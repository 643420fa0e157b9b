"""Magnitude pruning by tfmot: how many zeros, where, and that training continues around them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.formats import keras_file
from crnn.models import keras_crnn
from crnn.optimize.magnitude_pruning import FREQUENCY_STEPS, check_sparsity, last_pruning_step, prune
from crnn.optimize.recipe import Build, RecipeError
from crnn.tests.test_keras_clustering import matrices, shipped_matrices
from crnn.tests.test_models import SHALLOW, inputs, keras_outputs
from crnn.tests.test_training import ALPHABET, corpus

EPOCHS = 12  # of the tiny corpus: three steps each
OPTIONS = {"batch_size": 4, "epochs": EPOCHS, "patience": EPOCHS}


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """The file of a small model."""
    path = tmp_path_factory.mktemp("parent") / "parent.keras"
    keras_crnn.keras.utils.set_random_seed(1)
    keras_file.save(keras_crnn.build(SHALLOW), path)
    return path


def build_of(parent, folder):
    """A build from the small model."""
    return Build("tiny", parent, folder / "tiny.keras", corpus(), folder / "tiny.npz", ALPHABET)


def check_zeros(found, recurrent, tolerance=0.0):
    """Assert that exactly four in five weights of each pruned tensor are zero, and none of the others."""
    for name, weights in found.items():
        expected = 0.8 if recurrent or "lstm" not in name else 0.0
        assert (weights == 0).mean() == pytest.approx(expected, abs=0.51 / weights.size + tolerance)


class TestSchedule:
    @given(st.floats(0.01, 0.9), st.integers(2, 40), st.integers(30, 300))
    def test_last_step_updates_the_masks_and_leaves_an_epoch(self, share, epochs, per_epoch):
        """The last pruning step updates the masks and leaves at least one epoch of training, or is refused."""
        try:
            end = last_pruning_step(share, epochs, per_epoch)
        except RecipeError:
            assert -(-share * epochs * per_epoch // FREQUENCY_STEPS) * FREQUENCY_STEPS > (epochs - 1) * per_epoch
            return

        assert end % FREQUENCY_STEPS == 0
        assert share * epochs * per_epoch <= end + 1e-6 <= (epochs - 1) * per_epoch + 1e-6

    def test_too_late_a_last_step(self, parent, tmp_path):
        """Pruning that would end after training is refused before any work, with both steps in the message."""
        with pytest.raises(RecipeError, match=r"with step 75, training has 36 steps \(12 epochs of 3\): .* step 33"):
            prune(build_of(parent, tmp_path), recurrent=True, pruning_share=1.5, **OPTIONS)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("initial", "final"), [(0.5, 1.0), (-0.1, 0.5), (0.8, 0.5)])
    def test_impossible_sparsity(self, initial, final):
        """A sparsity that is outside [0, 1), or that would decrease, is refused."""
        with pytest.raises(RecipeError, match="sparsity has to rise within"):
            check_sparsity(initial, final)

    def test_another_alphabet(self, parent, tmp_path):
        """A parent with another alphabet is refused before any work."""
        with pytest.raises(RecipeError, match="reads the alphabet"):
            prune(replace(build_of(parent, tmp_path), parent_alphabet="абвг"), recurrent=True, **OPTIONS)
        assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module", params=[True, False], ids=["full", "partial"])
def pruned(request, parent, tmp_path_factory):
    """A pruned small model, the notes of its record, its parent, and the parent's file before and after."""
    build, before = build_of(parent, tmp_path_factory.mktemp("pruned")), parent.read_bytes()
    notes = prune(build, recurrent=request.param, **OPTIONS)
    return keras_file.load(build.target), notes, keras_file.load(parent), before == parent.read_bytes()


class TestPruning:
    def test_four_in_five_are_zero_where_asked_for(self, pruned):
        """Each pruned tensor has exactly the final sparsity; the others have no zeros."""
        model, notes, *_ = pruned
        check_zeros(matrices(model), notes["recurrent"])

    def test_wrappers_are_removed(self, pruned):
        """The artifact is an ordinary model with the parent's layers and size."""
        model, _, parent, _ = pruned

        assert [layer.name for layer in model.layers] == [layer.name for layer in parent.layers]
        assert model.count_params() == parent.count_params()

    def test_the_best_epoch_follows_the_last_pruning_step(self, pruned):
        """The weights kept are those of an epoch after the last pruning step."""
        _, notes, *_ = pruned

        assert notes["best_epoch"] > notes["last_pruning_step"] / 3

    def test_the_rest_was_trained(self, pruned):
        """The artifact is not just the parent with zeros in it: the other weights have changed."""
        model, _, parent, _ = pruned
        before, after = parent.get_weights(), model.get_weights()

        assert any(np.any((a != 0) & (np.abs(a - b) > 1e-3)) for a, b in zip(after, before, strict=True))

    def test_the_parent_is_unchanged(self, pruned):
        """The parent's file is unchanged: its outputs are finite, and it has no zeros."""
        _, _, parent, unchanged = pruned

        assert unchanged
        assert np.isfinite(keras_outputs(parent, inputs())).all()
        assert all((weights != 0).all() for weights in matrices(parent).values())


@pytest.mark.parametrize(("name", "recurrent"), [("full", True), ("partial", False)])
def test_shipped(name, recurrent):
    """In each tensor of the shipped artifacts exactly four in five weights are zero, or none."""
    check_zeros(shipped_matrices(f"tf-magnitude-pruned-{name}"), recurrent, 1e-4)
