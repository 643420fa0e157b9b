"""The fastest recognizer: training, and training in int8, on a tiny corpus of a user's own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from crnn.corpus.synthetic import NAME
from crnn.formats import openvino_file, pt_file
from crnn.models.torch_conv import ConvRecognizer
from crnn.models.torch_crnn import LogProbabilities
from crnn.optimize import fastest, onnx_graph, onnx_int8, openvino_convert
from crnn.optimize.recipe import Build, RecipeError
from crnn.runtimes.base import runtime_class
from crnn.runtimes.operators import is_matrix
from crnn.tests.test_conv import SMALL
from crnn.tests.test_models import inputs, torch_model
from crnn.tests.test_training import ALPHABET, TINY, Interrupted, corpus
from crnn.training.batches import training_batches
from crnn.training.loop import Schedule
from crnn.training.torch_distiller import Weighting
from crnn.training.torch_int8_learner import Int8Learner, RoundedInput

SIZE = {"columns": ((8, 3, 4), (8, 3, 2)), "image": (), "context": (), "epochs": 1}

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::RuntimeWarning"
)


class TestRecipe:
    """With a tiny corpus of a user's own; the field corpus takes an hour."""

    def build(self, folder):
        """A build whose parent is a tiny CRNN."""
        torch.manual_seed(1)
        pt_file.save(torch_model(TINY), folder / "teacher.pt")
        return Build(
            "student", folder / "teacher.pt", folder / "student.pt", corpus(), folder / "student.npz", ALPHABET
        )

    @pytest.mark.parametrize("soft", [0.0, 1.0])
    def test_trains(self, soft, tmp_path):
        """The artifact is a recognizer of the given size for the corpus's alphabet, taught by the parent or not."""
        notes = fastest.train(self.build(tmp_path), soft=soft, **SIZE)
        model = pt_file.load(tmp_path / "student.pt")

        assert ("views" in notes) == bool(soft)
        assert (model.config.classes, model.config.columns) == (4, SIZE["columns"])
        assert notes["config"] == model.config.to_json()

    def test_without_an_int8_epoch(self, tmp_path):
        """Without an epoch in int8 the training ends with the float model."""
        float_only = replace(self.build(tmp_path), target=tmp_path / "float.pt")
        notes = fastest.train(float_only, int8_epochs=0, **SIZE)
        weights = pt_file.load(tmp_path / "float.pt").columns[0].conv.weight
        scale = weights.abs().amax((1, 2, 3), keepdim=True) / 63

        assert "int8" not in notes
        assert not torch.allclose(weights / scale, (weights / scale).round(), atol=1e-3)

    def test_an_interrupted_int8_epoch_goes_on(self, tmp_path, monkeypatch):
        """After an interruption at the end of the int8 epoch, a new run ends with an undisturbed one's weights."""
        build, trained = self.build(tmp_path), fastest.tuned

        def interrupted(given, *rest, **options):
            notes = trained(given, *rest, **options)
            if given.checkpoint.stem.endswith("-int8"):
                raise Interrupted
            return notes

        with monkeypatch.context() as patch:
            patch.setattr(fastest, "tuned", interrupted)
            with pytest.raises(Interrupted):
                fastest.train(build, **SIZE)
        resumed = replace(build, target=tmp_path / "resumed.pt")
        fastest.train(resumed, **SIZE)
        undisturbed = replace(build, target=tmp_path / "whole.pt", checkpoint=tmp_path / "whole.npz")
        fastest.train(undisturbed, **SIZE)

        states = [pt_file.load(one.target).state_dict().values() for one in (resumed, undisturbed)]
        assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
        assert not list(tmp_path.glob("*-int8.npz"))

    def test_time_steps_that_do_not_match(self, tmp_path):
        """A student with other time steps than the teacher is refused before anything is drawn or computed."""
        message = "the student does not fit teacher.pt: the strides reduce 400 columns to 100 steps, not 50"
        with pytest.raises(RecipeError, match=message):
            fastest.train(self.build(tmp_path), columns=((8, 3, 2),), image=((4, 3, (4, 2)),))

        assert sorted(path.name for path in tmp_path.iterdir()) == ["teacher.pt"]

    def test_without_fresh_lines(self, tmp_path):
        """With 0 fresh lines the field corpus's own train split is trained on, and nothing is drawn."""
        field = replace(self.build(tmp_path), corpus=corpus(name=NAME))
        notes = fastest.train(field, lines=0, **SIZE)

        assert "fresh_lines" not in notes
        assert not list(tmp_path.glob("fresh-*"))

    def test_a_batch_larger_than_a_chunk(self, tmp_path):
        """Batches that no chunk of fresh lines fills are refused before anything is drawn."""
        field = replace(self.build(tmp_path), corpus=corpus(name=NAME))
        with pytest.raises(RecipeError, match="batches of 5000 lines are larger than a chunk of 4096 fresh lines"):
            fastest.train(field, batch_size=5000)

        assert not list(tmp_path.glob("fresh-*"))

    def test_another_alphabet(self, tmp_path):
        """A teacher of another alphabet is refused."""
        with pytest.raises(RecipeError, match="reads the alphabet 'xyz', the corpus tiny has 'абв'"):
            fastest.train(replace(self.build(tmp_path), parent_alphabet="xyz"))


class TestInt8:
    """The learner that computes on rounded values."""

    SCHEDULE = Schedule(batch_size=4)

    def learner(self):
        """A learner of a small model, after one step; and the model that it started with."""
        torch.manual_seed(1)
        model = ConvRecognizer(replace(SMALL, classes=4))
        learner = Int8Learner(model, self.SCHEDULE, Weighting(1.0, 0.0))
        learner.step(next(training_batches(corpus().train, ALPHABET, 4, 1, 0)), 1e-3)
        return learner, model

    def test_weights_are_on_the_grid(self):
        """Each output channel's weights are multiples of its scale, 127 levels at most."""
        for layer in (*self.learner()[0].plain().columns, *self.learner()[0].plain().context):
            weights = layer.conv.weight.detach().flatten(1)
            levels = weights / (weights.abs().amax(1, keepdim=True) / 63)
            assert torch.allclose(levels, levels.round(), atol=1e-3)

    def test_the_plain_model_computes_the_same_on_rounded_activations(self):
        """The exported model's outputs differ by the rounding of activations only."""
        learner, _ = self.learner()
        lines = inputs(count=3)
        with torch.inference_mode():
            plain = LogProbabilities(learner.plain()).eval()(*map(torch.from_numpy, lines)).numpy()

        assert 0 < np.abs(learner.log_probs(*lines) - plain).max() < 0.1

    def test_computes_in_float32(self, monkeypatch):
        """It computes in float32 on processors on which other learners compute in bfloat16."""
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
        learner, _ = self.learner()
        types = []
        learner.model.columns[0].conv.register_forward_hook(lambda *seen: types.append(seen[-1].dtype))
        learner.log_probs(*inputs(count=2))

        assert types == [torch.float32]

    def test_activations_have_256_levels(self):
        """A rounded input takes 256 values at most, from zero to the largest seen."""
        layer = RoundedInput()
        seen = torch.rand(1000) * 7
        rounded = layer(seen)

        assert len(rounded.unique()) <= 256
        assert (rounded - seen).abs().max() <= 7 / 255 / 2 + 1e-5
        assert layer.eval()(torch.tensor([100.0])).item() == pytest.approx(seen.max().item(), rel=1e-4)

    def test_statistics_stay(self):
        """BatchNorm's statistics are the start's after a step, its scales are not."""
        learner, start = self.learner()
        before, after = start.columns[0].norm, learner.plain().columns[0].norm

        assert torch.equal(before.running_mean, after.running_mean)
        assert not torch.equal(before.weight, after.weight)

    def test_the_start_is_not_changed(self):
        """The model that the learner starts with keeps its weights and layers."""
        _, start = self.learner()
        torch.manual_seed(1)
        fresh = ConvRecognizer(replace(SMALL, classes=4))

        assert all(
            torch.equal(a, b) for a, b in zip(start.state_dict().values(), fresh.state_dict().values(), strict=True)
        )

    def test_state_goes_round(self):
        """A learner restored from another's state computes the same."""
        learner, start = self.learner()
        other = Int8Learner(start, self.SCHEDULE, Weighting(1.0, 0.0))
        other.restore(learner.state())

        assert np.array_equal(other.log_probs(*inputs(count=2)), learner.log_probs(*inputs(count=2)))

    @pytest.mark.parametrize("size", [1, 3])
    @pytest.mark.parametrize("engine", ["openvino", "onnx"])
    def test_in_engines(self, engine, size, tmp_path):
        """Quantized by the engine's tools, it computes nearly what was trained; all layers compute in int8."""
        learner, _ = self.learner()
        model, quantized, lines = tmp_path / "model.pt", tmp_path / f"model.{engine}", inputs(count=32)
        pt_file.save(learner.plain(), model)
        if engine == "openvino":
            openvino_file.write(openvino_convert.quantized(openvino_convert.model_of(model), lines), quantized)
        else:
            operators = onnx_int8.AS_IT_STANDS
            onnx_int8.quantize(onnx_graph.optimized(model), lines, quantized, operators=operators, float_block=False)
        runtime = runtime_class(engine)()
        runtime.threads = 1
        runtime.load(quantized, "cpu")
        some = tuple(part[:size] for part in lines)
        found = {
            (layer.kind == "MatMul", layer.precision) for layer in runtime.profile(*some, 2) if is_matrix(layer.kind)
        }
        # ONNX Runtime multiplies the field's two weights per class in float; it would get scales of each batch in int8.
        field = {(True, "fp32")} if engine == "onnx" else set()

        assert np.abs(runtime(*some) - learner.log_probs(*some)).max() < 0.1
        assert found == {(False, "int8")} | field
