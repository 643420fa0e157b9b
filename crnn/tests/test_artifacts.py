"""Artifacts: built completely or not at all, verified before use, rebuilt when stale."""

import errno
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crnn import artifacts, registry
from crnn.artifacts import ArtifactError
from crnn.corpus import Corpus
from crnn.registry import provenance
from crnn.registry.variant import Thresholds, Variant
from crnn.tests.test_training import ALPHABET, corpus

CALLS = []


def write_name(build):
    """A recipe that appends its own name to its parent's content."""
    CALLS.append(build.name)
    content = build.parent.read_bytes() if build.parent else b""
    build.target.write_bytes(content + build.name.encode())
    return {"note": "made"}


def fill_the_disk(build):
    """A recipe that runs out of disk space halfway through its file."""
    build.target.write_bytes(b"half")
    raise OSError(errno.ENOSPC, "No space left on device", str(build.target))


def train_and_fill_the_disk(build):
    """A recipe that trains and then has no disk space for its result."""
    build.checkpoint.write_bytes(b"trained")
    fill_the_disk(build)


def train_and_save(build):
    """A recipe that saves the content of its checkpoint."""
    build.target.write_bytes(build.checkpoint.read_bytes())
    return {}


def be_interrupted(build):
    """A recipe that is interrupted by Ctrl-C."""
    build.target.write_bytes(b"half")
    raise KeyboardInterrupt


def variant(name, recipe="write_name", parent=None, trained=False):
    """A registry entry with a recipe of this module."""
    return Variant(
        name,
        "none",
        f"{__name__}:{recipe}",
        framework="none",
        runtime="noop",
        suffix=".bin",
        thresholds=Thresholds(parameters=0, macs=0, max_bytes=100, max_peak_memory_bytes=0),
        parent=parent,
        trained=trained,
    )


GENERATIONS = (variant("one"), variant("two", parent="one"), variant("three", parent="two"))


@pytest.fixture(autouse=True)
def generations(monkeypatch, tmp_path):
    """Use a registry of three generations and an empty cache."""
    monkeypatch.setenv("CRNN_CACHE", str(tmp_path))
    monkeypatch.setattr(registry, "VARIANTS", GENERATIONS)
    CALLS.clear()


def files(folder):
    """Names of all files below a folder except locks."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


class TestBuild:
    def test_parents_first(self):
        """Building a variant builds its ancestors first, each from its parent's content."""
        path = artifacts.build(registry.get("three"), corpus())

        assert (CALLS, path.read_bytes()) == (["one", "two", "three"], b"onetwothree")

    def test_kept_when_good(self):
        """A valid artifact is not built again; ``force`` rebuilds it but not its parents."""
        for force in (False, False, True):
            artifacts.build(registry.get("two"), corpus(), force=force)

        assert CALLS == ["one", "two", "two"]

    def test_record(self):
        """The record names the variant, its parent and its hash, the corpus, the alphabet and the package versions."""
        two = registry.get("two")
        record = artifacts.verified_record(artifacts.build(two, corpus()))
        one = artifacts.location(registry.get("one"), corpus())

        assert (record["variant"], record["parent"], record["corpus"], record["note"]) == ("two", "one", "tiny", "made")
        assert record["parent_sha256"] == artifacts.sha256_of(one)
        assert (record["alphabet"], record["versions"]["numpy"]) == (ALPHABET, np.__version__)

    def test_parent_is_untouched(self):
        """Building a child does not change the parent's file."""
        one = artifacts.build(registry.get("one"), corpus())
        before = (one.read_bytes(), one.stat().st_mtime_ns)
        artifacts.build(registry.get("three"), corpus())

        assert (one.read_bytes(), one.stat().st_mtime_ns) == before

    def test_corpora_do_not_mix(self):
        """Each corpus has its own artifacts."""
        paths = {artifacts.build(registry.get("one"), corpus(seed)) for seed in (1, 2)}

        assert len(paths) == 2

    @pytest.mark.parametrize(("recipe", "error"), [("fill_the_disk", OSError), ("be_interrupted", KeyboardInterrupt)])
    def test_no_half_written_file(self, recipe, error, tmp_path):
        """If the disk is full or Ctrl-C is pressed, the error is raised and no file is left behind."""
        with pytest.raises(error):
            artifacts.build(variant("half", recipe), corpus())

        assert files(tmp_path) == []

    def test_checkpoint_outlives_a_failed_save(self, tmp_path):
        """A failed save keeps the checkpoint; a successful one deletes it."""
        half, whole = variant("half", "train_and_fill_the_disk"), variant("half", "train_and_save")
        with pytest.raises(OSError, match="No space left"):
            artifacts.build(half, corpus())
        left = files(tmp_path)
        artifacts.build(whole, corpus())

        assert (left, files(tmp_path)) == (["half.npz"], ["half.bin", "half.bin.json"])

    def test_two_builds_at_once(self):
        """Processes that build the same artifact at the same time all succeed and leave one valid file."""
        script = (
            "from crnn import artifacts, registry; from crnn.tests import test_artifacts as t; "
            "registry.VARIANTS = t.GENERATIONS; artifacts.build(registry.get('three'), t.corpus())"
        )
        root = Path(__file__).parents[2]
        processes = [subprocess.Popen([sys.executable, "-c", script], cwd=root) for _ in range(3)]

        assert [process.wait(timeout=120) for process in processes] == [0] * 3
        assert artifacts.find(registry.get("three"), corpus()).read_bytes() == b"onetwothree"


class TestFind:
    def test_missing(self):
        """Finding an artifact that was never built is an error that names the command to build it."""
        with pytest.raises(ArtifactError, match=r"one: .*is missing; `python -m crnn build one --corpus FOLDER`"):
            artifacts.find(registry.get("one"), corpus())

    def test_corrupt(self):
        """A changed byte is an error that names the file, before anything is loaded."""
        path = artifacts.build(registry.get("one"), corpus())
        path.write_bytes(b"oNe")

        with pytest.raises(ArtifactError, match=r"one\.bin is corrupt: SHA-256"):
            artifacts.find(registry.get("one"), corpus())

    @pytest.mark.parametrize("content", ["{", "{}", "[]"])
    def test_corrupt_record(self, content):
        """A record that is not JSON, or not a complete record, is an error that names the file."""
        path = artifacts.build(registry.get("one"), corpus())
        artifacts.record_path(path).write_text(content)

        with pytest.raises(ArtifactError, match=r"one\.bin\.json is corrupt"):
            artifacts.find(registry.get("one"), corpus())

    def test_stale_after_its_parent(self):
        """A child is stale and is rebuilt if its parent's content has changed."""
        artifacts.build(registry.get("two"), corpus())
        one = artifacts.location(registry.get("one"), corpus())
        one.write_bytes(b"ONE")
        record = json.loads(artifacts.record_path(one).read_text())
        artifacts.record_path(one).write_text(json.dumps(record | {"sha256": artifacts.sha256_of(one)}))

        with pytest.raises(ArtifactError, match="its parent has changed"):
            artifacts.find(registry.get("two"), corpus())
        assert artifacts.build(registry.get("two"), corpus()).read_bytes() == b"ONEtwo"

    def test_another_version_of_a_tool_is_another_file(self, monkeypatch):
        """Another version of a tool gives a conversion another path; a trained artifact keeps its path."""
        trained = replace(registry.get("two"), trained=True)
        before = [artifacts.build(row, corpus()) for row in (registry.get("two"), trained)]
        monkeypatch.setattr(provenance, "versions", lambda _: {"tool": "2.0"})

        with pytest.raises(ArtifactError, match="is missing"):
            artifacts.find(registry.get("two"), corpus())
        assert artifacts.location(registry.get("two"), corpus()) != before[0]
        # Its parent, a conversion, is a different file too; its own path is unchanged.
        assert artifacts.location(trained, corpus()) == before[1]

    def test_two_environments_share_a_cache(self, monkeypatch):
        """An environment with other tool versions converts its own file and leaves the existing one unchanged."""
        path = artifacts.build(registry.get("two"), corpus())
        before = path.stat().st_mtime_ns
        with monkeypatch.context() as other:
            other.setattr(provenance, "versions", lambda _: {"tool": "2.0"})
            artifacts.build(registry.get("two"), corpus(), force=True)

        assert (path.stat().st_mtime_ns, artifacts.find(registry.get("two"), corpus())) == (before, path)

    def test_shipped(self):
        """A trained variant's artifact for the field corpus is in the repository, and git restores it."""
        field = Corpus("field", ALPHABET, "", corpus().test, lambda: None)
        trained = variant("trained", trained=True)

        assert artifacts.location(trained, field) == artifacts.SHIPPED / "trained.bin"
        assert "git checkout -- fixtures/artifacts" in artifacts.remedy(trained, field)
