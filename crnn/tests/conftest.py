"""Fixtures of the tests that run the gate as a user does."""

import json
import shutil
import subprocess
import sys

import pytest

from crnn.tests.gate_repository import ROOT, UNKNOWN, VARIANTS, commit
from crnn.tests.test_suite import own_machine


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A commit of this tree's code and corpus, with a registry of two variants of known latency."""
    folder = tmp_path_factory.mktemp("repository")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if not name.startswith(("fixtures/artifacts/", "fixtures/baselines/")) and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    with (folder / "crnn" / "registry" / "__init__.py").open("a", encoding="utf-8") as file:
        file.write(VARIANTS)
    # Steady calls need fewer of them.
    pairs = folder / "crnn" / "measure" / "process_pairs.py"
    text = pairs.read_text()
    for plan, shorter in (
        ("Plan(warmup_s=0.1, pairs=12, block_s=0.03", "Plan(warmup_s=0.02, pairs=6, block_s=0.01"),
        ("pairs=2, block_s=0.03, most_pairs=6, budget_s=0.5", "pairs=1, block_s=0.03, most_pairs=2, budget_s=0.1"),
        ("starts=4", "starts=1"),
    ):
        assert plan in text
        text = text.replace(plan, shorter)
    pairs.write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=folder, capture_output=True, check=True)
    commit(folder, "base")
    return folder


@pytest.fixture
def edit(repository):
    """Replace text in a file of the repository until the test ends."""
    originals = {}

    def edit(name, old, new):
        path = repository / name
        text = path.read_text("utf-8")
        originals.setdefault(path, text)
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    yield edit
    for path, text in originals.items():
        path.write_text(text, "utf-8")


@pytest.fixture
def committed(repository):
    """Commit all changes, until the test ends."""

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=True).stdout

    before = git("rev-parse", "HEAD").strip()
    yield lambda: commit(repository, "changed")
    git("reset", "--quiet", "--mixed", before)


@pytest.fixture(scope="module")
def run_pytest(repository, tmp_path_factory):
    """Run pytest in the repository; return its output and exit status."""
    cache = tmp_path_factory.mktemp("cache")

    def run(*arguments, slowed="nobody", slow_loads=""):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--benchmark-quiet", *arguments],
            cwd=repository,
            env=own_machine(cache)
            | {"CRNN_SLOWED": slowed, "CRNN_SLOW_LOADS": slow_loads, "PYTHONPATH": str(repository)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return done.stdout + done.stderr, done.returncode

    return run


@pytest.fixture(scope="module")
def baseline(repository, run_pytest):
    """A saved run of unchanged code, as if the other tests had not used the machine meanwhile.

    Its commit is not in the repository.
    """
    output, status = run_pytest("benchmarks/test_footprint.py", "benchmarks/test_gate.py", "--benchmark-save=first")
    assert status == 0, output
    path = next((repository / "fixtures" / "baselines").rglob("*_first.json"))
    content = json.loads(path.read_text())
    content["crnn"]["machine"].pop("disturbed_before", None)
    content["commit_info"]["id"] = UNKNOWN
    for entry in content["benchmarks"]:
        for name, ratios in entry["extra_info"].items():
            if name.endswith("_ratios") and isinstance(ratios, list) and ratios:
                entry["extra_info"][name] = [0.99, 1.01, 0.995, 1.005, 1.0, 1.0, 0.998, 1.002]
    path.write_text(json.dumps(content))
    return path
