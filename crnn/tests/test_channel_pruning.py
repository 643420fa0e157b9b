"""Structured pruning: which weights are removed with a unit, and which outputs stay the same."""

import itertools
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.formats import pt_file
from crnn.formats.counts import macs_of_config
from crnn.models.config import CRNNConfig
from crnn.models.torch_crnn import CRNN
from crnn.optimize import channel_pruning, iterative_pruning
from crnn.optimize.channel_pruning import check_fraction
from crnn.optimize.importance import CRITERIA, importance, l1_norm
from crnn.optimize.iterative_pruning import BLOCK, check_reachable, select
from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.torch_channels import check_known, groups, keep
from crnn.tests.test_models import SMALL, inputs, torch_model, torch_outputs
from crnn.tests.test_training import ALPHABET, corpus

LAYERS = len(SMALL.channels) + len(SMALL.lstm_units)


def everything(model):
    """All units of all groups."""
    return [range(group.units) for group in groups(model)]


def silence(model, group, unit):
    """Make a unit's output zero through its own weights: a channel's BatchNorm, an LSTM unit's cell gate."""
    with torch.no_grad():
        if group.recurrent:
            lstm = model.get_submodule(group.layer)
            cell = 2 * group.units + unit
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
                getattr(lstm, name)[cell] = 0  # the cell's candidate is tanh(0)
        else:
            norm = model.get_submodule(group.layer.replace("conv", "norm"))
            norm.weight[unit] = norm.bias[unit] = 0


class TestKeep:
    def test_everything_kept_changes_nothing(self):
        """A model that keeps all units has the same outputs: the gates are in order."""
        model = torch_model(SMALL)
        batch = inputs()

        assert np.array_equal(torch_outputs(keep(model, everything(model)), batch), torch_outputs(model, batch))

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, LAYERS - 1), st.integers(0, 2**31))
    def test_silent_units_can_be_removed(self, layer, seed):
        """Removing units whose output is zero, in any layer, does not change the model's outputs."""
        model = torch_model(SMALL, seed % 100)
        group = groups(model)[layer]
        dropped = np.random.default_rng(seed).permutation(group.units)[: group.units // 2].tolist()
        for unit in dropped:
            silence(model, group, unit)
        kept = everything(model)
        kept[layer] = [unit for unit in range(group.units) if unit not in dropped]
        batch = inputs(seed % 1000)

        assert np.abs(torch_outputs(keep(model, kept), batch) - torch_outputs(model, batch)).max() < 1e-5

    def test_parent_is_unchanged(self):
        """Pruning creates a new model; changing it does not change the original."""
        model = torch_model(SMALL)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        smaller = keep(model, [range(group.units - 1) for group in groups(model)])
        with torch.no_grad():
            for parameter in smaller.parameters():
                parameter.zero_()

        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())

    @pytest.mark.parametrize(("recurrent", "parameters"), [(True, 1_218_859), (False, 1_389_809)])
    def test_a_tenth_of_the_original(self, recurrent, parameters):
        """Removing a tenth of each layer's units leaves 1.22 M parameters; of the convolutions' alone, 1.39 M."""
        model = CRNN(CRNNConfig())
        kept = [range(g.units - (g.units // 10 if recurrent or not g.recurrent else 0)) for g in groups(model)]

        assert sum(p.numel() for p in keep(model, kept).parameters()) == parameters

    @pytest.mark.parametrize("layer", range(LAYERS))
    def test_a_layer_keeps_a_unit(self, layer):
        """Removing all units of a layer is an error that names the layer."""
        model = torch_model(SMALL)
        kept = everything(model)
        kept[layer] = []

        with pytest.raises(ValueError, match=f"{groups(model)[layer].layer} would be left with nothing"):
            keep(model, kept)

    def test_unknown_units_are_refused(self):
        """An unknown unit is an error that gives the valid range."""
        model = torch_model(SMALL)

        with pytest.raises(ValueError, match=r"blocks\.0\.conv has units 0 to 3"):
            keep(model, [[4], *everything(model)[1:]])


class TestKnownLayers:
    @pytest.mark.parametrize(
        "stranger", [torch.nn.GRU(4, 4), torch.nn.LSTM(4, 4, bidirectional=True), torch.nn.LSTM(4, 4, num_layers=2)]
    )
    def test_unknown_layers_are_refused(self, stranger):
        """A layer without a rule is an error that names the layer, before anything is removed."""
        model = torch_model(SMALL)
        model.lstms[1] = stranger

        with pytest.raises(TypeError, match=r"cannot prune lstms\.1: no rule for"):
            groups(model)

    def test_another_model_is_refused(self):
        """Known layers in an unknown model are refused."""
        with pytest.raises(TypeError, match="cannot prune a Sequential"):
            check_known(torch.nn.Sequential(torch.nn.Linear(2, 2)))


class TestImportance:
    def test_l1_norm_ranks_by_weights(self):
        """The unit with the smallest weights has the lowest score, in convolutions and in LSTMs."""
        model = torch_model(SMALL)
        with torch.no_grad():
            model.blocks[1].conv.weight[2] *= 1e-3
            model.blocks[1].conv.bias[2] *= 1e-3
            for parameter in model.lstms[0].parameters():
                parameter.view(4, 5, -1)[:, 3] *= 1e-3

        first = [int(l1_norm(model, group).argmin()) for group in groups(model)]
        assert (first[1], first[5]) == (2, 3)

    @settings(max_examples=10, deadline=None)
    @given(st.integers(0, 2**31))
    def test_taylor_is_the_gradient_of_a_gate(self, seed):
        """A channel's Taylor score is the squared derivative of the loss with respect to a factor on its output."""
        model, batch = (
            torch_model(SMALL, seed % 100).double(),
            [torch.from_numpy(a).double() for a in inputs(seed % 99)],
        )

        def loss(_, gate=None):
            blocks = model.blocks[:3](batch[0].unsqueeze(1))
            steps = model.blocks[3:](blocks if gate is None else blocks * gate.view(1, -1, 1, 1))
            steps = torch.cat([steps.squeeze(2).transpose(1, 2), batch[1]], 2)
            for lstm in model.lstms:
                steps, _ = lstm(steps)
            return model.classifier(steps).square().mean()

        gate = torch.ones(6, dtype=torch.double, requires_grad=True)
        loss(None, gate).backward()
        scores = importance(model, "taylor", loss, [None])

        assert torch.allclose(scores[2].double(), gate.grad**2, rtol=1e-4)

    @pytest.mark.parametrize("criterion", CRITERIA)
    def test_scores_every_unit(self, criterion):
        """Each criterion gives each unit of each group a finite, non-negative score."""
        model = torch_model(SMALL)
        images, field = map(torch.from_numpy, inputs())
        scores = importance(model, criterion, lambda _: model(images.unsqueeze(1), field).square().mean(), [None])

        assert [len(score) for score in scores] == [group.units for group in groups(model)]
        assert all(torch.isfinite(score).all() and (score >= 0).all() for score in scores)

    def test_unknown_criterion(self):
        """An unknown criterion is an error that lists the known ones."""
        with pytest.raises(LookupError, match="no criterion 'luck'; there are: l1"):
            importance(torch_model(SMALL), "luck", lambda _: torch.zeros(()), [])


class TestSelect:
    CONFIG = CRNNConfig()
    COUNTS = (*CONFIG.channels, *CONFIG.lstm_units)

    @settings(max_examples=20, deadline=None)
    @given(st.floats(1.05, 8), st.integers(0, 2**31))
    def test_reaches_the_target_with_whole_blocks(self, reduction, seed):
        """The pruned model takes no more MACs than the target and keeps whole blocks of eight units."""
        rng = np.random.default_rng(seed)
        target = macs_of_config(self.CONFIG) / reduction
        kept = select(self.CONFIG, [rng.random(units) for units in self.COUNTS], target)
        counts = tuple(map(len, kept))
        smaller = replace(self.CONFIG, channels=counts[:5], lstm_units=counts[5:])

        assert macs_of_config(smaller) <= target
        assert {count % BLOCK for count in counts} == {0}

    def test_least_important_are_removed_first(self):
        """In each layer, the units with the highest scores stay."""
        scores = [np.arange(units, dtype=float) for units in self.COUNTS]
        kept = select(self.CONFIG, scores, macs_of_config(self.CONFIG) / 2)

        assert all(
            units == list(range(total - len(units), total)) for units, total in zip(kept, self.COUNTS, strict=True)
        )

    def test_important_layer_stays_whole(self):
        """A layer whose units all score a thousand times higher loses none of them."""
        scores = [np.full(units, 1000.0 if layer == 1 else 1.0) for layer, units in enumerate(self.COUNTS)]

        assert len(select(self.CONFIG, scores, macs_of_config(self.CONFIG) / 2)[1]) == self.CONFIG.channels[1]


class TestBadSettings:
    @pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan")])
    def test_fraction(self, fraction):
        """A fraction outside [0, 1) is refused."""
        with pytest.raises(RecipeError, match=r"must be in \[0, 1\)"):
            check_fraction(fraction)

    @pytest.mark.parametrize("reduction", [1.0, 0.5, float("nan")])
    def test_reduction(self, reduction):
        """A reduction by a factor of 1 or less is refused."""
        with pytest.raises(RecipeError, match="must be above 1"):
            check_reachable(CRNNConfig(), reduction)

    def test_unreachable_reduction(self):
        """A reduction beyond one block per layer is refused with the smallest possible number of MACs per line."""
        least = macs_of_config(CRNNConfig(channels=(BLOCK,) * 5, lstm_units=(BLOCK,) * 2))

        with pytest.raises(RecipeError, match=f"a line cannot take fewer than {least:,} MACs; 23,375 were asked for"):
            check_reachable(CRNNConfig(), 1e4)


def test_pairs_of_groups_share_no_weights():
    """Each weight tensor produces the units of one group only."""
    produced = [{part.tensor for part in group.parts if part.produces} for group in groups(torch_model(SMALL))]

    assert [a & b for a, b in itertools.combinations(produced, 2)] == [set()] * (LAYERS * (LAYERS - 1) // 2)


class TestIterativeRecipe:
    CONFIG = CRNNConfig(classes=4, channels=(16,) * 5, lstm_units=(16, 16))
    OPTIONS: ClassVar = {"epochs": 1, "batch_size": 4, "reduction": 1.5, "steps": 2}

    def build(self, tmp_path, name):
        """A build from a small parent."""
        tmp_path.mkdir(exist_ok=True)
        parent = tmp_path / "parent.pt"
        pt_file.save(torch_model(self.CONFIG), parent)
        return Build(name, parent, tmp_path / f"{name}.pt", corpus(), tmp_path / f"{name}.npz", ALPHABET)

    def test_reaches_the_reduction(self, tmp_path):
        """The artifact takes at most the requested MACs, records them and leaves no intermediate files."""
        build = self.build(tmp_path, "pruned")
        before = build.source.read_bytes()
        notes = iterative_pruning.prune(build, **self.OPTIONS)
        config = pt_file.load(build.target).config

        assert notes["multiply_adds_per_line"] == macs_of_config(config) <= macs_of_config(self.CONFIG) / 1.5
        assert build.source.read_bytes() == before
        assert {path.suffix for path in tmp_path.iterdir()} == {".pt", ".npz"}
        assert len(list(tmp_path.iterdir())) == len(["parent", "pruned", "checkpoint", "soft targets"])

    def test_resumes_after_an_interruption(self, tmp_path, monkeypatch):
        """A build interrupted after its first step and resumed ends with the weights of an uninterrupted one."""
        whole, resumed = self.build(tmp_path / "a", "pruned"), self.build(tmp_path / "b", "pruned")
        iterative_pruning.prune(whole, **self.OPTIONS)

        def interrupt(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(iterative_pruning, "tuned", interrupt)
            with pytest.raises(KeyboardInterrupt):
                iterative_pruning.prune(resumed, **self.OPTIONS)
        tuned_again = []
        monkeypatch.setattr(iterative_pruning, "fit", lambda *_, **__: tuned_again.append(1))
        iterative_pruning.prune(resumed, **self.OPTIONS)

        expected, weights = (pt_file.read(build.target)["weights"] for build in (whole, resumed))
        assert tuned_again == []
        assert all(torch.equal(tensor, weights[name]) for name, tensor in expected.items())


class TestFixedShareRecipe:
    @pytest.mark.parametrize(("recurrent", "units"), [(True, (5, 5)), (False, (10, 10))])
    def test_removes_the_share(self, recurrent, units, tmp_path):
        """Half of each layer's units are removed; those of the LSTMs only if requested."""
        parent = tmp_path / "parent.pt"
        pt_file.save(torch_model(replace(SMALL, classes=4, lstm_units=(10, 10))), parent)
        build = Build("p", parent, tmp_path / "p.pt", corpus(), tmp_path / "p.npz", ALPHABET)
        channel_pruning.prune(build, fraction=0.5, recurrent=recurrent, epochs=1, batch_size=4)
        config = pt_file.load(build.target).config

        assert (config.channels, config.lstm_units) == ((2, 2, 3, 3, 4), units)
