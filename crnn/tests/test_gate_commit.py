"""What is not green against a saved baseline is measured in pairs with the commit that it comes from."""

import json
import subprocess

import pytest

from crnn.gate.verdicts import REGRESSED_STATUS
from crnn.tests.gate_repository import GATE, REGISTRY

# Counting loads takes longer than loading.
_LOADS_OFF = "--gate=load=off,start=off"


@pytest.fixture
def committed_baseline(baseline, repository, tmp_path):
    """The baseline, with the commit of the repository."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True)
    content = json.loads(baseline.read_text())
    content["commit_info"] |= {"id": done.stdout.strip(), "dirty": False}
    path = tmp_path / "committed.json"
    path.write_text(json.dumps(content))
    return path


def compare(run_pytest, file, tmp_path, **how):
    """Compare with the baseline; returns the output, the status and the tests' ``extra_info``."""
    saved = tmp_path / "run.json"
    options = (f"--benchmark-compare={file}", f"--benchmark-json={saved}", _LOADS_OFF)
    output, status = run_pytest("benchmarks/test_gate.py", *options, **how)
    content = json.loads(saved.read_text())
    return output, status, {entry["fullname"]: entry["extra_info"] for entry in content["benchmarks"]}


def direct_counts(info):
    """How many pairs with the baseline's commit were measured."""
    return [len(ratios) for by_field in info["gate_direct_ratios"].values() for ratios in by_field.values()]


def test_a_slowdown_of_the_machine_is_none(run_pytest, repository, committed_baseline, tmp_path):
    """What slows the baseline's commit down as well is not red, and nothing has to be measured at the end."""
    output, status, found = compare(run_pytest, committed_baseline, tmp_path, slowed="slowed")
    trees = subprocess.run(["git", "worktree", "list"], cwd=repository, capture_output=True, text=True, check=True)

    assert status == 0, output
    assert direct_counts(found[f"{GATE}[slowed]"])[0] >= 2
    assert direct_counts(found[f"{GATE}[steady]"]) == []
    assert ("postponed" in output, len(trees.stdout.splitlines())) == (False, 1)


def test_a_slowdown_of_the_code_is_red(run_pytest, edit, committed_baseline, tmp_path):
    """What the baseline's commit does faster is red, with the pairs that show it."""
    edit(REGISTRY, '{"name": name}', '{"name": "changed" if name == "slowed" else name}')
    output, status, found = compare(run_pytest, committed_baseline, tmp_path, slowed="changed")
    commit = json.loads(committed_baseline.read_text())["commit_info"]["id"]

    assert status == REGRESSED_STATUS, output
    assert f" process pairs with commit {commit[:10]}" in output
    assert [found[f"{GATE}[{name}]"]["gate_verdicts"] for name in ("slowed", "steady")] == [
        {"relative_latency, baseline": word} for word in ("slower", "same")
    ]
