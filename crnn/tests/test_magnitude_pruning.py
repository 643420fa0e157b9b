"""Magnitude pruning by tfmot: how many zeros, where, and that training goes on around them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.artifacts import SHIPPED
from crnn.models import keras_crnn
from crnn.optimize.magnitude_pruning import FREQUENCY_STEPS, check_sparsity, last_pruning_step, prune
from crnn.optimize.recipe import Build, RecipeError
from crnn.tests.test_models import inputs, keras_answers
from crnn.tests.test_training import ALPHABET, TINY, corpus

EPOCHS = 12  # of the tiny corpus: three steps each


def build_of(tmp_path, **options):
    """A build from a tiny model."""
    parent = tmp_path / "parent.keras"
    keras_crnn.keras.utils.set_random_seed(1)
    keras_file.save(keras_crnn.build(TINY), parent)
    given = {"recurrent": True, "batch_size": 4, "epochs": EPOCHS, "patience": EPOCHS} | options
    return Build("tiny", parent, tmp_path / "tiny.keras", corpus(), tmp_path / "tiny.npz", given, ALPHABET)


def sparsity(model):
    """Share of zeros of each filter bank and matrix, by the name of its layer."""
    return {
        f"{layer.name} {index}": float((weights == 0).mean())
        for layer in keras_crnn.weighted_layers(model)
        for index, weights in enumerate(layer.get_weights())
        if weights.ndim > 1
    }


class TestSchedule:
    @given(st.floats(0.01, 0.9), st.integers(2, 40), st.integers(30, 300))
    def test_ends_with_an_update_of_the_masks_and_leaves_an_epoch(self, share, epochs, per_epoch):
        """The last pruning step is one in which masks are renewed, at least an epoch before the end, or refused."""
        try:
            end = last_pruning_step(share, epochs, per_epoch)
        except RecipeError:
            assert -(-share * epochs * per_epoch // FREQUENCY_STEPS) * FREQUENCY_STEPS > (epochs - 1) * per_epoch
            return

        assert end % FREQUENCY_STEPS == 0
        assert share * epochs * per_epoch <= end + 1e-6 <= (epochs - 1) * per_epoch + 1e-6

    def test_too_late_an_end_names_the_steps(self, tmp_path):
        """Pruning that would end after training does is refused before any work, with both steps."""
        build = build_of(tmp_path, pruning_share=1.5)

        with pytest.raises(RecipeError, match=r"with step 75, training has 36 steps \(12 epochs of 3\): .* step 33"):
            prune(build)
        assert list(tmp_path.iterdir()) == [build.parent]

    @pytest.mark.parametrize(("initial", "final"), [(0.5, 1.0), (-0.1, 0.5), (0.8, 0.5)])
    def test_impossible_sparsity(self, initial, final):
        """A sparsity outside [0, 1), or one that would fall, is refused."""
        with pytest.raises(RecipeError, match="sparsity has to rise within"):
            check_sparsity(initial, final)

    def test_another_alphabet(self, tmp_path):
        """So is a parent that reads other characters."""
        build = build_of(tmp_path)
        other = Build(build.name, build.parent, build.target, build.corpus, build.checkpoint, build.options, "абвг")

        with pytest.raises(RecipeError, match="reads the alphabet"):
            prune(other)


@pytest.fixture(scope="module", params=[True, False], ids=["full", "partial"])
def pruned(request, tmp_path_factory):
    """A pruned tiny model, its record, and the build that made it."""
    build = build_of(tmp_path_factory.mktemp("pruned"), recurrent=request.param)
    notes = prune(build)
    return keras_file.load(build.target), notes, build


class TestPruning:
    def test_four_of_five_are_zero_where_it_was_asked_for(self, pruned):
        """Each pruned tensor has the final sparsity, to the weight; the others keep theirs."""
        model, notes, _ = pruned
        for name, share in sparsity(model).items():
            count = model.get_layer(name.split()[0]).get_weights()[int(name.split()[1])].size
            expected = 0.8 if notes["recurrent"] or "lstm" not in name else 0.0
            assert share == pytest.approx(expected, abs=0.51 / count)

    def test_wrappers_are_gone(self, pruned):
        """The artifact is an ordinary model of the parent's layers and size."""
        model, _, build = pruned
        parent = keras_file.load(build.parent)

        assert [layer.name for layer in model.layers] == [layer.name for layer in parent.layers]
        assert model.count_params() == parent.count_params()

    def test_what_is_kept_was_pruned_to_the_end(self, pruned):
        """The epoch that is kept comes after the last pruning step."""
        _, notes, _ = pruned

        assert notes["best_epoch"] > notes["last_pruning_step"] / 3

    def test_the_rest_was_trained(self, pruned):
        """It is not the parent with zeros in it: what is left has moved."""
        model, _, build = pruned
        before, after = keras_file.load(build.parent).get_weights(), model.get_weights()

        assert any(np.any((a != 0) & (np.abs(a - b) > 1e-3)) for a, b in zip(after, before, strict=True))

    def test_the_parent_is_untouched(self, pruned):
        """The parent still answers, and has no zeros."""
        _, _, build = pruned
        parent = keras_file.load(build.parent)

        assert np.isfinite(keras_answers(parent, inputs())).all()
        assert max(sparsity(parent).values()) == 0.0


@pytest.mark.parametrize(("name", "recurrent"), [("full", True), ("partial", False)])
def test_shipped(name, recurrent):
    """Each tensor of the shipped rows has four zeros in five, to the weight, or none."""
    model = keras_file.load(SHIPPED / f"tf-magnitude-pruned-{name}.keras")

    for tensor, share in sparsity(model).items():
        count = model.get_layer(tensor.split()[0]).get_weights()[int(tensor.split()[1])].size
        assert share == pytest.approx(0.8 if recurrent or "lstm" not in tensor else 0.0, abs=0.51 / count + 1e-4)
