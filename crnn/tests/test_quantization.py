"""Post-training quantization in PyTorch: what is stored in int8, and what the loaded model computes."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.corpus import Corpus, CorpusError
from crnn.formats import pt_file, torch_int8, torch_qdq
from crnn.models.config import CRNNConfig
from crnn.optimize.quantization import dynamic_int8, same_weights, static_int8, to_bfloat16
from crnn.optimize.recipe import Build, RecipeError
from crnn.tests.test_models import inputs, torch_model, torch_outputs
from crnn.tests.test_training import ALPHABET, TINY, corpus, lines

# PyTorch is moving quantization to torchao; what is used here has no replacement there yet.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def build_of(tmp_path, model, data=None):
    """A build from a model, for the tiny corpus or a given one."""
    parent = tmp_path / "parent.pt"
    pt_file.save(model, parent)
    return Build("tiny", parent, tmp_path / "tiny.pt", data or corpus(), tmp_path / "tiny.npz", ALPHABET)


def parameter_count(path):
    """Number of parameters that an artifact stores."""
    return sum(array.size for array in pt_file.parameters(path))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A function that runs a recipe on the tiny model once and also returns the parent's content before it."""

    @functools.cache
    def build_by(recipe):
        build = build_of(tmp_path_factory.mktemp(recipe.__name__), torch_model(TINY))
        before = build.source.read_bytes()
        recipe(build)
        return build, before

    return build_by


@pytest.mark.parametrize("recipe", [same_weights, to_bfloat16, dynamic_int8, static_int8])
class TestEveryRecipe:
    def test_parent_is_unchanged_and_nothing_is_lost(self, recipe, built):
        """The artifact has as many parameters as the parent, whose file is unchanged."""
        build, before = built(recipe)

        assert parameter_count(build.target) == parameter_count(build.source)
        assert build.source.read_bytes() == before

    def test_outputs_are_near_the_parents(self, recipe, built):
        """The loaded artifact's log probabilities are near the parent's."""
        (build, _), batch = built(recipe), inputs()
        outputs = torch_outputs(pt_file.load(build.target), batch)

        assert np.abs(outputs - torch_outputs(pt_file.load(build.source), batch)).max() < 0.2


class TestSize:
    @pytest.mark.parametrize(
        ("recipe", "share"), [(same_weights, 1.0), (to_bfloat16, 0.52), (dynamic_int8, 0.48), (static_int8, 0.80)]
    )
    def test_share_of_the_parents_bytes(self, recipe, share, tmp_path):
        """At full width, the file is smaller by the bytes that its int8 and bfloat16 weights save."""
        build = build_of(tmp_path, torch_model(replace(CRNNConfig(), classes=4)))
        recipe(build)

        assert build.target.stat().st_size / build.source.stat().st_size <= share


class TestDynamic:
    def test_file_gives_the_same_model(self, tmp_path):
        """A quantized model that is saved and loaded has the same outputs bit for bit."""
        quantized = torch_int8.quantize(torch_model(TINY))
        torch_int8.save(quantized, tmp_path / "model.pt")
        batch = inputs()

        loaded = pt_file.load(tmp_path / "model.pt")
        assert np.array_equal(torch_outputs(loaded, batch), torch_outputs(quantized, batch))

    def test_lstms_and_classifier_are_int8(self, built):
        """LSTM and classifier matrices are stored as int8, convolutions as floats."""
        content = pt_file.read(built(dynamic_int8)[0].target)

        lstms = {f"lstms.{i}.weight_{kind}_l0" for i in (0, 1) for kind in ("ih", "hh")}
        assert content["int8"].keys() == lstms | {"classifier.weight"}
        assert {part["values"].dtype for part in content["int8"].values()} == {torch.int8}


class TestStatic:
    def test_convolutions_are_int8(self, built):
        """The weights of all five convolutions are stored as int8, within half a quantization step of the floats."""
        build, _ = built(static_int8)
        original, quantized = pt_file.load(build.source), pt_file.load(build.target)

        for before, after in zip(original.blocks, quantized.blocks, strict=True):
            steps = after.conv.weight_scale[:, None, None, None]
            assert after.conv.weight.dtype == torch.int8
            assert ((after.conv.weight * steps - before.conv.weight).abs() <= steps * 0.501).all()

    def test_scales_cover_the_inputs(self, built):
        """The first convolution's range is that of the pixels: 0 to 1, with an exact zero."""
        scale, zero_point = pt_file.load(built(static_int8)[0].target).blocks[0].conv.input

        assert ((255 - zero_point) * scale, zero_point) == (pytest.approx(1.0, abs=0.01), 0)

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 2**31))
    def test_a_convolution_computes_on_rounded_values(self, seed):
        """A convolution equals the float convolution of inputs and weights rounded to their steps and clipped."""
        rng = np.random.default_rng(seed)
        weight = torch.from_numpy(rng.integers(-128, 128, (3, 2, 3, 3)).astype(np.int8))
        scales = torch.from_numpy(rng.uniform(0.01, 0.1, 3).astype(np.float32))
        zero_point = int(rng.integers(0, 256))
        layer = torch_qdq.QDQConv2d(torch_qdq.Scales(weight, scales, 0.05, zero_point), torch.zeros(3))
        images = torch.from_numpy(rng.normal(0, 5, (1, 2, 4, 4)).astype(np.float32))
        levels = (torch.round(images / 0.05) + zero_point).clamp(0, 255)
        rounded = (levels - zero_point) * 0.05
        expected = torch.nn.functional.conv2d(rounded, weight * scales[:, None, None, None], padding=1)

        assert torch.allclose(layer(images), expected, atol=2e-2)

    @pytest.mark.parametrize(
        ("validation", "options", "error", "message"),
        [
            (0, {}, CorpusError, "12/0/4 lines to train, validate and test"),
            (6, {"calibration_lines": 0}, RecipeError, "calibration needs at least one line, got 0"),
        ],
    )
    def test_no_line_to_calibrate_with(self, validation, options, error, message, tmp_path):
        """Calibrating with an empty validation split, or with none of its lines, is an error before any work."""
        data = Corpus("tiny", ALPHABET, "sha", lines(4, 1), lambda: (lines(12, 2), lines(6, 3).take(range(validation))))
        build = build_of(tmp_path, torch_model(TINY), data)

        with pytest.raises(error, match=message):
            static_int8(build, **options)
        assert not build.target.exists()


class TestBfloat16:
    def test_weights_are_rounded(self, built):
        """Every weight is stored as the nearest bfloat16."""
        build, _ = built(to_bfloat16)
        before, after = pt_file.read(build.source)["weights"], pt_file.read(build.target)["weights"]

        floats = [name for name, tensor in before.items() if tensor.is_floating_point()]
        assert all(torch.equal(after[name], before[name].bfloat16()) for name in floats)
