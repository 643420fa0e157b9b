"""A user's corpus on which nothing is trained yet: what is skipped, what is built, which limits hold."""

import json
import subprocess
import sys
from math import inf
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from crnn import artifacts, registry
from crnn.__main__ import main
from crnn.corpus import open_corpus
from crnn.measure.footprint import most_bytes
from crnn.measure.requirements import buildable, runs_here, untrained
from crnn.optimize.recipe import RecipeError
from crnn.optimize.tuning import lines_read, schedule_for
from crnn.tests.test_suite import ROOT, own_machine
from crnn.training.batches import steps_per_epoch

LINES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus of noise."""
    folder, rng = tmp_path_factory.mktemp("corpora") / "noise", np.random.default_rng(0)
    folder.mkdir()
    for index in range(LINES):
        Image.fromarray(rng.integers(0, 256, (32, 64), np.uint8)).save(folder / f"{index}.png")
    (folder / "labels.tsv").write_text("".join(f"{index}.png\t{index:03}\n" for index in range(LINES)))
    return folder


@pytest.fixture
def corpus(folder, tmp_path, monkeypatch):
    """It, with an empty cache."""
    monkeypatch.setenv("CRNN_CACHE", str(tmp_path))
    return open_corpus(folder)


class TestUntrained:
    def test_the_first_missing_training_is_named(self, corpus):
        """A row's own training needs that of its parent, which is named with its command."""
        row = registry.get("ov-distilled-int8")

        assert untrained(row, corpus) == (
            "torch-original is not trained on the corpus noise; "
            "`python -m crnn build torch-original --corpus FOLDER` builds it"
        )

    def test_it_is_not_asked_for(self, corpus):
        """A session leaves such a row out."""
        assert not runs_here(registry.get("torch-original"), corpus, "cpu")

    def test_nothing_is_missing_on_the_field_corpus(self):
        """Its trained rows are shipped."""
        field = open_corpus(None)

        assert {row.name: untrained(row, field) for row in registry.VARIANTS if untrained(row, field)} == {}

    @pytest.mark.parametrize("require", [False, True])
    def test_in_a_run(self, folder, tmp_path, require):
        """A run skips them, each with the command as the reason; with --require they fail."""
        out = tmp_path / "run.json"
        command = [sys.executable, "-m", "pytest", "benchmarks/test_accuracy.py", "--quick", f"--corpus={folder}"]
        options = ["--variants=torch-original,ov-fp32", f"--benchmark-json={out}", *["--require"] * require, "-rs"]
        done = subprocess.run(
            [*command, *options], cwd=ROOT, env=own_machine(tmp_path), capture_output=True, text=True, check=False
        )
        reason = "torch-original is not trained on the corpus noise; `python -m crnn build torch-original"

        assert done.returncode == (pytest.ExitCode.TESTS_FAILED if require else pytest.ExitCode.OK)
        assert (f"{'--require: ' * require}{reason}" in done.stdout, "2 errors" in done.stdout) == (True, require)
        assert ("2 skipped" in done.stdout) == (not require)


class TestBuilding:
    def test_all_rows_are_waiting(self, corpus):
        """Nothing is built: all trainings and conversions of this environment wait, and their time is told."""
        rows, notes = buildable(registry.VARIANTS, corpus)
        trained = sum(row.trained for row in rows)

        assert {row.name for row in rows} | {note.partition(" needs ")[0] for note in notes[:-1]} == set(
            registry.names()
        )
        assert notes[-1].startswith(f"{trained} rows to train, about ")
        assert f"and {len(rows) - trained} to convert; the same command resumes" in notes[-1]

    @pytest.mark.parametrize(
        ("lines", "size", "share"),
        [
            (8_000, (32, 400), 1 / 2),
            (16_000, (32, 800), 2),
            # As many updates as of any small corpus: 2,500 with 16 lines, for the twelve epochs of the shipped one.
            (400, (32, 400), 2_500 * 16 / 12 / 16_000),
        ],
    )
    def test_time_is_that_of_the_shipped_one(self, lines, size, share):
        """The time of a training is the shipped one's, by the lines that it reads and their pixels."""
        row = registry.get("torch-original")
        epochs = json.loads(artifacts.record_path(artifacts.SHIPPED / "torch-original.pt").read_text())["epochs"]
        corpus = SimpleNamespace(train=range(lines), size=size)

        whole = sum(epoch["seconds"] for epoch in epochs)
        assert artifacts.training_seconds(row, corpus) == pytest.approx(whole * share)
        assert artifacts.training_seconds(registry.get("ov-fp32"), corpus) == 0

    def test_the_lines_are_those_of_the_schedule(self, corpus):
        """The lines that a training is said to read are those of its schedule."""
        schedule = schedule_for(SimpleNamespace(corpus=corpus))
        steps = schedule.epochs * steps_per_epoch(corpus.train, schedule.batch_size)

        assert lines_read(len(corpus.train), 12) == pytest.approx(steps * schedule.batch_size, rel=0.05)

    def test_all_goes_on_after_a_failure(self, folder, tmp_path, monkeypatch, capsys):
        """Each row gets the options that its recipe has; one that fails is named, and the others are built."""
        built = {}

        def build(variant, _, options, __):
            if variant.name == "tf-original":
                raise RecipeError("no")
            built[variant.name] = options

        monkeypatch.setenv("CRNN_CACHE", str(tmp_path))
        monkeypatch.setattr("crnn.__main__._build_one", build)
        rows = [registry.get(name) for name in ("torch-original", "tf-original", "ov-fp32")]
        monkeypatch.setattr(registry, "VARIANTS", rows)
        status = main(["build", "--all", "--corpus", str(folder), "--epochs", "1"])
        said = capsys.readouterr().err

        assert (status, built) == (1, {"torch-original": {"epochs": 1}, "ov-fp32": {}})
        assert "2 rows to train, about " in said
        assert said.splitlines()[-4:] == [
            "1 of 3: torch-original",
            "2 of 3: tf-original",
            "error: tf-original: no",
            "3 of 3: ov-fp32",
        ]

    @pytest.mark.parametrize("words", [[], ["ov-fp32", "--all"]])
    def test_names_or_all(self, words):
        """It is one of the two."""
        done = subprocess.run(
            [sys.executable, "-m", "crnn", "build", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )

        assert (done.returncode, done.stderr) == (1, "error: name the variants to build, or --all\n")


class TestBytes:
    def test_the_growth_of_the_original(self, corpus):
        """A variant's file may be larger by what the original's is, and by 5 %; the original may have any size."""
        original, row = registry.get("torch-original"), registry.get("ov-int8")
        path = artifacts.location(original, corpus)
        path.parent.mkdir(parents=True)
        found = {}
        for more in (-1000, 0, 1000):
            with path.open("wb") as file:
                file.truncate((artifacts.SHIPPED / "torch-original.pt").stat().st_size + more)
            found[more] = most_bytes(row, corpus)
        limit = row.thresholds.max_bytes

        assert most_bytes(original, corpus) == inf
        assert found == pytest.approx({-1000: 1.05 * limit, 0: 1.05 * limit, 1000: 1.05 * (limit + 1000)})

    def test_an_original_of_another_package(self, corpus, monkeypatch, tmp_path):
        """Nothing of it is shipped: what exceeds its own limit counts as growth."""
        original, row = registry.get("torch-original"), registry.get("ov-int8")
        monkeypatch.setattr(artifacts, "SHIPPED", tmp_path)
        path = artifacts.location(original, corpus)
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            file.truncate(original.thresholds.max_bytes + 1000)

        assert most_bytes(row, corpus) == pytest.approx(1.05 * (row.thresholds.max_bytes + 1000))

    def test_the_limit_itself_on_the_field_corpus(self):
        """There the threshold holds."""
        row = registry.get("ov-int8")

        assert most_bytes(row, open_corpus(None)) == row.thresholds.max_bytes
