"""The entries of the registry, and how they are selected."""

import re

import pytest

from crnn import registry
from crnn.gate.measures import MEASURES, limits_of
from crnn.runtimes.base import Runtime, missing, runtime_class


class TestRegistry:
    def test_names_are_keys(self):
        """Names are lower case, unique, and safe in file names and test ids."""
        names = registry.names()

        assert len(set(names)) == len(names)
        assert [name for name in names if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)] == []

    @pytest.mark.parametrize("entry", registry.VARIANTS, ids=registry.names())
    def test_entries_are_whole(self, entry):
        """Each entry has a recipe and an engine; a converted one has a tolerance to its parent."""
        assert callable(entry.load_recipe())
        assert issubclass(runtime_class(entry.runtime), Runtime)
        assert missing(entry.runtime, entry.requires) == []
        assert not entry.parent or entry.trained or entry.thresholds.max_log_prob_difference is not None
        assert limits_of(entry.thresholds.gate, {}).keys() == {measure.name for measure in MEASURES}

    def test_what_the_gate_does_not_watch_runs_as_something_it_watches(self):
        """A row without process pairs shares its engine and its original with a watched row, or was never run."""
        runs_as = [(entry, (entry.runtime, registry.original_of(entry).name)) for entry in registry.VARIANTS]
        watched = {pair for entry, pair in runs_as if entry.watched}
        others = {pair for entry, pair in runs_as if not (entry.watched or entry.unmeasured)}

        assert others - watched == set()

    @pytest.mark.parametrize("entry", registry.VARIANTS, ids=registry.names())
    def test_lineage_ends_in_a_trained_original(self, entry):
        """The ancestors of a row end in an original that is trained here, or is a reference that nobody here made."""
        original = registry.original_of(entry)

        assert (original.parent, original.trained or original.unmeasured) == (None, True)
        assert registry.ancestors(entry)[-1:] == ((original,) if entry is not original else ())


class TestSelecting:
    def test_globs_keep_the_tables_order(self):
        """Several globs select variants in the table's order, each once."""
        chosen = [variant.name for variant in registry.matching(["ort-t*2onnx", "torch-d*", "*original"])]

        assert chosen == ["torch-original", "tf-original", "torch-distilled", "ort-tf2onnx", "ort-torch2onnx"]

    def test_unmatched_glob_lists_the_names(self):
        """A glob that matches nothing is an error, even beside one that matches."""
        with pytest.raises(LookupError, match=r"'trt-\*'; there are: torch-original, tf-original"):
            registry.matching(["*", "trt-*"])

    def test_unknown_name_lists_the_names(self):
        """An unknown name is an error that lists the known ones."""
        with pytest.raises(LookupError, match="no variant 'original'; there are: torch-original"):
            registry.get("original")

    def test_unknown_engine(self):
        """An unknown engine is an error that names the missing module."""
        with pytest.raises(LookupError, match=r"crnn\.runtimes\.abacus_runtime"):
            runtime_class("abacus")
