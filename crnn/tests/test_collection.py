"""No test is dropped silently: pytest collects every test that the files define."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def defined(folder):
    """Test functions and methods in a folder's files, found with ``ast``, with the markers of each."""
    found = {}
    for file in sorted((ROOT / folder).glob("test_*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        everywhere = [ast.unparse(node.value) for node in tree.body if is_pytestmark(node)]
        for node in tree.body:
            inside = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
            prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
            for function in inside:
                if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
                    markers = [ast.unparse(marker) for marker in function.decorator_list]
                    name = f"{file.relative_to(ROOT).as_posix()}::{prefix}{function.name}"
                    found[name] = " ".join([*everywhere, *markers])
    return found


def is_pytestmark(node):
    """Whether a statement marks the whole module."""
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"


def collected(*arguments):
    """Names of the tests that ``pytest`` collects and would run, without parameters."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}


@pytest.fixture(scope="module")
def tests():
    """The tests of the suite."""
    return defined("crnn/tests")


def test_pytest_runs_every_test_of_the_suite(tests, request):
    """``pytest`` runs every test except those marked for a release."""
    config = request.config
    whole = not config.option.keyword and config.args in (config.getini("testpaths"), [f"{ROOT}/crnn/tests"])
    # In a full run, the tests of this session; otherwise, the tests that a full run would collect.
    running = {item.nodeid.partition("[")[0] for item in request.session.items} if whole else collected()

    assert running == {name for name, markers in tests.items() if "mark.release" not in markers}


def test_a_file_named_alone_is_run_whole(tests):
    """A test file named on the command line is run completely."""
    file = "crnn/tests/test_gate.py"

    assert collected(file) == {name for name in tests if name.startswith(f"{file}::")} != set()


def test_the_release_checks_are_there(tests):
    """``-m release`` runs all tests with that marker, which are all in one file."""
    release = {name for name, markers in tests.items() if "mark.release" in markers}

    assert collected("crnn/tests/test_release.py", "-m", "release") == release != set()


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        pytest.param((), {"process_pairs", "search_for_missing", "study"}, id="nothing is saved or compared"),
        pytest.param(("--benchmark-save=x",), {"search_for_missing", "study"}, id="saved"),
        pytest.param(("--benchmark-json=/dev/null",), {"search_for_missing", "study"}, id="in a file"),
        pytest.param(
            ("--benchmark-autosave", "--quick"),
            {"process_pairs", "search_for_missing", "full", "study"},
            id="quick",
        ),
    ],
)
def test_what_a_run_leaves_out(options, left_out):
    """A run has every benchmark but studies, and those that only a comparison, or a later one, would use."""
    benchmarks = defined("benchmarks")
    absent = {name for name, markers in benchmarks.items() if any(f"mark.{word}" in markers for word in left_out)}

    assert collected("benchmarks", *options) == benchmarks.keys() - absent
    assert {word for word in left_out for markers in benchmarks.values() if f"mark.{word}" in markers} == left_out


def test_no_test_hides_another():
    """No two functions or classes in one scope share a name: the first would never run."""
    hidden = []
    for file in sorted((ROOT / "crnn/tests").glob("*.py")) + sorted((ROOT / "benchmarks").glob("*.py")):
        for scope in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(scope, ast.Module | ast.ClassDef):
                names = [node.name for node in scope.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
                hidden += [f"{file.name}: {name}" for name in set(names) if names.count(name) > 1]

    assert hidden == []
