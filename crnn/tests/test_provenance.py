"""What a conversion depends on: the modules that its recipe imports, the options, the versions of packages."""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crnn import artifacts, registry
from crnn.artifacts import ArtifactError
from crnn.registry import provenance
from crnn.registry.options import OptionError, check_options, known_options
from crnn.registry.variant import Thresholds, Variant
from crnn.runtimes.base import engine_names, runtime_class
from crnn.tests.test_training import corpus

ROOT = Path(__file__).parents[2]
RECIPE = """
from {package}.steps import suffix

def convert(build, *, letter="a"):
    build.target.write_text(letter + suffix())
    return {{}}
"""
PACKAGES = (f"converters{number}" for number in itertools.count())


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A temporary package: a recipe whose module imports another, which imports a third."""
    name = next(PACKAGES)
    folder = tmp_path / "code" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "recipe.py").write_text(RECIPE.format(package=name))
    (folder / "steps.py").write_text(f"def suffix():\n    from {name} import last\n    return last.TEXT\n")
    (folder / "last.py").write_text("TEXT = '1'\n")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv("CRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "VARIANTS", (variant(name),))
    yield folder
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


def variant(package, **options):
    """A conversion with the package's recipe."""
    thresholds = Thresholds(parameters=0, macs=0, max_bytes=9, max_peak_memory_bytes=0)
    recipe = f"{package}.recipe:convert"
    return Variant("own", "none", recipe, "none", "noop", ".bin", thresholds, recipe_options=options)


class TestConversions:
    def test_an_edit_of_an_imported_module_makes_another_file(self, package):
        """Editing a module gives another file even if it is imported indirectly, inside a function."""
        own = registry.get("own")
        artifacts.build(own, corpus())
        (package / "last.py").write_text("TEXT = '22'\n")
        for module in [module for module in sys.modules if module.startswith(package.name)]:
            del sys.modules[module]

        with pytest.raises(ArtifactError, match="is missing"):
            artifacts.find(own, corpus())
        assert artifacts.build(own, corpus()).read_text() == "a22"

    def test_an_edit_of_an_option_makes_another_file(self, package):
        """Changing an option in the registry gives another file."""
        first = artifacts.build(registry.get("own"), corpus())
        other = variant(package.name, letter="b")

        assert artifacts.location(other, corpus()) != first
        assert artifacts.build(other, corpus()).read_text() == "b1"

    def test_recipes_of_this_package_name_their_helpers(self):
        """A recipe's sources include the helper modules that it imports."""
        names = {path.name for path in provenance.sources("crnn.optimize.litert_convert")}
        other = {path.name for path in provenance.sources("crnn.optimize.quantization")}

        assert {"tflite_graph.py", "tflite_file.py", "keras_qat.py", "litert_convert.py"} <= names
        assert {"torch_int8.py", "torch_qdq.py", "torch_crnn.py"} <= other

    def test_versions_are_those_of_the_packages_it_imports(self):
        """A recipe depends only on its own tools, even if a package and its module have different names."""
        versions = provenance.versions("crnn.optimize.onnx_graph")

        assert {"onnx", "onnxoptimizer", "onnxsim", "pillow"} <= versions.keys()
        assert "nncf" not in versions


class TestOptions:
    def test_an_unknown_option_of_a_recipe_is_refused_before_any_work(self, package):
        """An unknown option of a recipe is an error that lists the known ones, before anything is built."""
        with pytest.raises(OptionError, match=r"recipe .*convert of own has no option 'epochs'; it has letter"):
            artifacts.build(registry.get("own"), corpus(), {"epochs": 5})
        assert not (package.parents[1] / "cache").exists()

    def test_options_of_a_schedule_are_known(self):
        """A recipe that trains takes the options of the schedule."""
        recipe = registry.VARIANTS[0].load_recipe()

        assert known_options(recipe) == ("batch_size", "epochs", "patience", "seed")

    def test_an_unknown_option_of_an_engine_is_refused(self):
        """An unknown option of an engine is an error that lists the known ones."""
        with pytest.raises(OptionError, match="engine torch has no option 'chanels_last'; it has channels_last, dtype"):
            check_options(runtime_class("torch").load, {"chanels_last": True}, "engine torch")

    @pytest.mark.parametrize("row", registry.VARIANTS, ids=registry.names())
    def test_rows_have_known_options_only(self, row):
        """A row of the registry has only options that its recipe and its engine know."""
        check_options(row.load_recipe(), row.recipe_options, row.recipe)
        check_options(runtime_class(row.runtime).load, row.runtime_options, row.runtime)

    @pytest.mark.parametrize("engine", engine_names())
    def test_engines_name_their_options(self, engine):
        """Engines and anchors name all their options and take no arbitrary keywords."""
        classes = (runtime_class(engine), runtime_class(runtime_class(engine).anchor))

        assert all(isinstance(known_options(used.load), tuple) for used in classes)

    def test_a_function_that_takes_any_keyword_is_refused(self):
        """A function that takes any keyword is refused: a misspelt option would go unnoticed."""

        def swallow(build, **options):
            return build, options

        with pytest.raises(TypeError, match="swallow takes any keyword"):
            known_options(swallow)


class TestDerive:
    def test_a_child_inherits_what_its_parent_weighs(self):
        """A child inherits engine, suffix, counts and size limits, but not promises that only its parent makes."""
        parent = registry.get("torch-channels-last")
        child = parent.derive("child", "cut", "recipes:cut", max_bytes=7)

        limits = replace(parent.thresholds, max_bytes=7, max_log_prob_difference=None)
        assert (child.parent, child.runtime, child.suffix, child.framework) == (parent.name, "torch", ".pt", "torch")
        assert (child.runtime_options, child.thresholds) == ({"channels_last": True}, limits)
        assert (child.trained, child.watched, child.recipe_options) == (False, True, {})

    def test_another_engine_does_not_take_the_parents_options(self):
        """A child with another engine does not inherit the options of its parent's engine."""
        assert registry.get("torch-channels-last").derive("x", "y", "z", runtime="onnx").runtime_options == {}

    def test_an_unknown_attribute_is_refused(self):
        """An unknown attribute is an error: a misspelt change would have no effect."""
        with pytest.raises(TypeError, match="max_byte"):
            registry.VARIANTS[0].derive("x", "y", "z", max_byte=7)
