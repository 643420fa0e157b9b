"""The fastest recognizer: training, and training in int8, on a tiny corpus of a user's own."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from crnn.formats import pt_file
from crnn.formats.counts import count
from crnn.models.torch_conv import ConvRecognizer
from crnn.models.torch_crnn import LogProbabilities
from crnn.optimize import fastest
from crnn.optimize.recipe import Build, RecipeError
from crnn.runtimes.openvino_runtime import Runtime
from crnn.runtimes.operators import is_matrix
from crnn.tests.test_conv import SMALL
from crnn.tests.test_models import inputs, torch_model
from crnn.tests.test_training import ALPHABET, TINY, corpus

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

    def test_trains(self, tmp_path):
        """The artifact is a recognizer of the given size for the corpus's alphabet."""
        notes = fastest.train(self.build(tmp_path), columns=((8, 3, 4), (8, 3, 2)), image=(), context=(), epochs=1)
        model = pt_file.load(tmp_path / "student.pt")

        assert (model.config.classes, model.config.columns) == (4, ((8, 3, 4), (8, 3, 2)))
        assert notes["config"] == model.config.to_json()

    def test_time_steps_that_do_not_match(self, tmp_path):
        """A student with other time steps than the teacher is refused before anything is drawn or computed."""
        message = "the student does not fit teacher.pt: the strides reduce 400 columns to 100 steps, not 50"
        with pytest.raises(RecipeError, match=message):
            fastest.train(self.build(tmp_path), columns=((8, 3, 2),), image=((4, 3, (4, 2)),))

        assert sorted(path.name for path in tmp_path.iterdir()) == ["teacher.pt"]

    def test_another_alphabet(self, tmp_path):
        """A teacher of another alphabet is refused."""
        with pytest.raises(RecipeError, match="reads the alphabet 'xyz', the corpus tiny has 'абв'"):
            fastest.train(replace(self.build(tmp_path), parent_alphabet="xyz"))


class TestInt8:
    @pytest.fixture(scope="class")
    def built(self, tmp_path_factory):
        """A small recognizer, quantized and trained on, and its parent."""
        folder = tmp_path_factory.mktemp("int8")
        torch.manual_seed(1)
        pt_file.save(ConvRecognizer(replace(SMALL, classes=4)), folder / "parent.pt")
        build = Build(
            "student", folder / "parent.pt", folder / "student.openvino", corpus(), folder / "student.npz", ALPHABET
        )
        return build, fastest.to_int8(build, epochs=1)

    def loaded(self, build):
        """The artifact in its engine."""
        runtime = Runtime()
        runtime.threads = 1
        runtime.load(build.target, "cpu")
        return runtime

    @pytest.mark.parametrize("size", [1, 3])
    def test_outputs_are_near_the_parents(self, size, built):
        """Training in int8 changes log probabilities a little, for any batch size."""
        build, _ = built
        lines = inputs(count=size)
        with torch.inference_mode():
            expected = LogProbabilities(pt_file.load(build.source)).eval()(*map(torch.from_numpy, lines)).numpy()

        assert 0 < np.abs(self.loaded(build)(*lines) - expected).max() < 0.3

    def test_all_layers_compute_in_int8(self, built):
        """By the engine's profile, each convolution and product computes in int8."""
        operators = self.loaded(built[0]).profile(*inputs(count=4), 2)

        assert {operator.precision for operator in operators if is_matrix(operator.kind)} == {"int8"}
        assert sum("Conv" in operator.kind for operator in operators) == 5

    def test_macs_are_the_parents(self, built):
        """The artifact takes as many MACs as its parent."""
        build, _ = built

        assert count(build.target, "openvino").macs_per_line == count(build.source, "pt").macs_per_line

    def test_record(self, built):
        """What the artifact was made with is plain JSON."""
        notes = json.loads(json.dumps(built[1]))

        assert (notes["calibration_lines"], notes["schedule"]["epochs"], "views" in notes) == (6, 1, False)
