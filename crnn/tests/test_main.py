"""``python -m crnn`` as a user types it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn import artifacts, registry
from crnn.__main__ import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A corpus of 40 images of one digit each, and an empty cache."""
    monkeypatch.setenv("CRNN_CACHE", str(tmp_path / "cache"))
    lines = tmp_path / "lines"
    lines.mkdir()
    rng = np.random.default_rng(1)
    for index in range(40):
        Image.fromarray(rng.integers(0, 256, (16, 40), np.uint8)).save(lines / f"{index}.png")
    (lines / "labels.tsv").write_text("".join(f"{index}.png\t{index % 10}\n" for index in range(40)))
    return lines


def test_list_shows_every_variant(capsys):
    """The list shows names, techniques, engines, parents and which artifacts are shipped."""
    status = main(["list"])

    printed = capsys.readouterr().out.splitlines()
    assert (status, [line.split()[0] for line in printed[1:]]) == (0, list(registry.names()))
    assert printed[1].split()[-2:] == ["shipped", "there"]
    assert {re.split(r"  +", line)[4] for line in printed[1:]} == {"shipped", "on first use"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "none"], "error: no variant 'none'; there are: torch-original"),
        (["build", "torch-original", "--corpus", "/none"], "error: corpus /none: no such folder"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys):
    """An error is one line on standard error, with exit status 1."""
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith(message)


def test_a_reader_may_have_read_enough():
    """A pipe that is closed before all is printed, as ``head`` does, is no error."""
    with subprocess.Popen(
        [sys.executable, "-m", "crnn", "list"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as listed:
        listed.stdout.close()
        errors = listed.stderr.read()

    assert (listed.returncode, errors) == (0, b"")


def test_another_broken_pipe_is_an_error(monkeypatch, capfd):
    """A pipe that breaks elsewhere, such as to a process that has died, is an error like any other."""

    def broken():
        raise BrokenPipeError("of a worker")

    monkeypatch.setattr(registry, "faults", broken)
    assert (main(["list"]), capfd.readouterr().err) == (1, "error: of a worker\n")


@pytest.mark.parametrize("arguments", [["train"], ["train", "--framework", "jax"], ["train", "--epochs", "0"]])
def test_usage(arguments):
    """Invalid command lines end with argparse's status 2."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


def test_train_on_ones_own_corpus(folder):
    """Training on a user's corpus leaves an artifact whose record has its alphabet, epochs and best epoch."""
    command = [sys.executable, "-m", "crnn", "train", "--framework", "torch", "--corpus", str(folder), "--epochs", "1"]
    done = subprocess.run([*command, "--batch-size", "8"], cwd=ROOT, capture_output=True, text=True, check=True)

    path = Path(done.stdout.splitlines()[-2])
    record = json.loads(artifacts.record_path(path).read_text("utf-8"))
    assert (record["variant"], record["alphabet"], record["best_epoch"]) == ("torch-original", "0123456789", 1)
    assert (record["schedule"]["epochs"], record["config"]["classes"]) == (1, 11)
    assert done.stdout.splitlines()[-1].startswith("validation CER")
