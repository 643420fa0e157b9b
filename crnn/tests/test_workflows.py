"""The workflow and the action: they name rows and options that exist."""

import re
import subprocess
import sys
from pathlib import Path

from crnn.registry import matching

ROOT = Path(__file__).parents[2]
WORKFLOW = (ROOT / ".github" / "workflows" / "benchmarks.yml").read_text("utf-8")
ACTION = (ROOT / ".github" / "actions" / "gate" / "action.yml").read_text("utf-8")


def test_the_workflow_measures_nine_rows():
    """Each of its globs has a match, and together they are the nine rows of the documented minutes."""
    [globs] = re.findall(r"variants: (\S+)", WORKFLOW)

    assert len(matching(globs.split(","))) == 9


def test_the_workflow_gives_the_action_s_inputs():
    """All that it passes to the action is an input of it."""
    given = re.search(r"uses: \./\.github/actions/gate\n +with:\n((?: {10}.*\n)+)", WORKFLOW)[1]
    inputs = ACTION.partition("outputs:")[0]

    names = re.findall(r"^ {10}(\S+):", given, re.MULTILINE)
    assert [name for name in names if f"\n  {name}:\n" not in inputs] == []
    assert names == ["against", "variants", "arguments", "token"]


def test_pytest_has_the_options():
    """Pytest accepts the options of the action and of the workflow."""
    command = re.search(r"pytest benchmarks (?:.*\\\n)+.*", ACTION)[0]
    options = re.findall(r"--[\w-]+", command + re.search(r"arguments: (.*)", WORKFLOW)[1])
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert len(options) == 8
    assert [option for option in options if option not in shown] == []
