"""Rows and engines of other packages, and of a user's file."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from crnn import registry
from crnn.registry import plugins
from crnn.registry.plugins import PluginError, Registry
from crnn.registry.rows import VARIANTS
from crnn.runtimes import base, noop_runtime
from crnn.tests.test_suite import own_machine

ROOT = Path(__file__).parents[2]
FIRST = VARIANTS[0]
MINE = replace(FIRST, name="mine")


class Point:
    """An entry point that gives something, or raises."""

    def __init__(self, name, given):
        """Name it."""
        self.name, self.dist, self._given = name, None, given

    def load(self):
        """What it gives."""
        if isinstance(self._given, Exception):
            raise self._given
        return self._given


@pytest.fixture
def installed(monkeypatch):
    """Have entry points installed; returns the registry that sees them."""
    monkeypatch.delenv(plugins.ENVIRONMENT, raising=False)

    def install(**points):
        found = [Point(name, given) for name, given in points.items()]
        monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: found if group else [])
        return Registry(VARIANTS)

    return install


def module(**attributes):
    """A module with these attributes."""
    made = ModuleType("rows")
    vars(made).update(attributes)
    return made


class TestEntryPoints:
    @pytest.mark.parametrize(
        "given", [MINE, [MINE], module(MINE=MINE, FIRST=FIRST, other=1)], ids=["row", "list", "module"]
    )
    def test_rows_come_last(self, installed, given):
        """A row, several, or a module of rows are added behind this project's; rows that a module imports are not."""
        rows = installed(theirs=given)

        assert (rows[:-1], rows[-1], len(rows)) == (VARIANTS, MINE, len(VARIANTS) + 1)

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            (RuntimeError("no licence"), "entry point broken of ? cannot be loaded: RuntimeError: no licence"),
            (7, "entry point broken of ?: expected rows (crnn.registry.Variant), found int"),
            ([], "entry point broken of ? gives no rows"),
            (FIRST, f"entry point broken of ?: there is a row '{FIRST.name}' already"),
            ([MINE, MINE], "entry point broken of ?: there is a row 'mine' already"),
            (
                replace(FIRST, name="../x"),
                "entry point broken of ?: '../x' is no name of a row: use lower case, digits, - and .",
            ),
            (
                replace(FIRST, name="child", parent="nobody"),
                "entry point broken of ?: child is made from 'nobody', which does not exist",
            ),
        ],
    )  # fmt: skip
    def test_what_cannot_be_loaded(self, installed, given, reason):
        """A package whose rows cannot be added is named, and those of others are there."""
        rows = installed(broken=given, other=replace(FIRST, name="other"))

        assert [row.name for row in rows[len(VARIANTS) :]] == ["other"]
        assert rows.faults == [reason]

    def test_a_child_of_another_package(self, installed):
        """A row may be made from one that another package added before."""
        rows = installed(a=MINE, b=replace(FIRST, name="child", parent="mine"))

        assert ([row.name for row in rows[-2:]], rows.faults) == (["mine", "child"], [])

    def test_engines(self, monkeypatch):
        """An engine of another package is found by the name of its entry point, as a class or as a module."""
        for given in (noop_runtime.Runtime, noop_runtime):
            monkeypatch.setattr(
                base.importlib.metadata, "entry_points", lambda given=given, **_: [Point("theirs", given)]
            )
            assert base.runtime_class("theirs") is noop_runtime.Runtime


class TestFile:
    @pytest.fixture
    def use(self, tmp_path, monkeypatch, installed):
        """Write a file and add its rows to a registry."""
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setattr(sys, "modules", dict(sys.modules))
        monkeypatch.setenv("PYTHONPATH", "before")
        monkeypatch.setenv(plugins.ENVIRONMENT, "")

        def use(text):
            path, rows = tmp_path / "rows_of_mine.py", installed()
            path.write_text(text)
            rows.use(path)
            return rows

        return use

    def test_processes_read_it_too(self, use, tmp_path):
        """Its rows are added, and its path is in the environment of the processes that are started."""
        rows = use("from crnn.registry.rows.originals import TORCH\nONE = TORCH.sibling('one', 'mine')\n")

        assert [row.name for row in rows[len(VARIANTS) :]] == ["one"]
        assert os.environ[plugins.ENVIRONMENT] == str(tmp_path / "rows_of_mine.py")
        assert os.environ["PYTHONPATH"] == os.pathsep.join(["before", str(tmp_path)])

    def test_a_file_that_raises(self, use):
        """A file that raises is an error that names it and what it raised."""
        with pytest.raises(PluginError, match=r"--registry .*rows_of_mine\.py cannot be loaded: ZeroDivisionError"):
            len(use("1 / 0"))

    def test_no_file(self, tmp_path, monkeypatch, installed):
        """A file that is not there is an error that names it."""
        monkeypatch.setenv(plugins.ENVIRONMENT, "")
        rows = installed()
        rows.use(tmp_path / "absent.py")

        with pytest.raises(PluginError, match=r"--registry .*absent\.py: no such file"):
            rows.complete()

    def test_a_command_says_which_file(self, tmp_path):
        """A file in the environment that is not there is one line on standard error, not a traceback."""
        done = subprocess.run(
            [sys.executable, "-m", "crnn", "list"],
            cwd=ROOT,
            env=os.environ | {plugins.ENVIRONMENT: str(tmp_path / "absent.py")},
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.returncode, done.stderr) == (1, f"error: --registry {tmp_path / 'absent.py'}: no such file\n")

    def test_this_project_has_no_faults(self):
        """Without other packages nothing is missing."""
        assert registry.faults() == []


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The file of the documentation's example, outside this project."""
    page = (ROOT / "crnn" / "registry" / "README.md").read_text("utf-8")
    [text] = re.findall(r"```python\n# my_rows\.py\n(.*?)```", page, re.DOTALL)
    folder = tmp_path_factory.mktemp("outside")
    (folder / "my_rows.py").write_text(text, "utf-8")
    return folder


class TestDocumentation:
    def run(self, project, *arguments):
        """Run Python in this project."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=own_machine(project / "cache"),
            capture_output=True,
            text=True,
            check=False,
        )

    def test_it_is_listed(self, project):
        """``list`` shows the row."""
        done = self.run(project, "crnn", "--registry", str(project / "my_rows.py"), "list")

        assert [row.split()[0] for row in done.stdout.splitlines() if row.startswith("my-")] == ["my-line-by-line"]

    def test_it_is_measured(self, project):
        """It is built, evaluated and timed like other rows, by its own engine in a worker."""
        file = project / "run.json"
        done = self.run(
            project,
            *(
                "pytest",
                "benchmarks/test_accuracy.py",
                "benchmarks/test_latency.py",
                "--quick",
                "-p",
                "no:cacheprovider",
            ),
            *("--registry", str(project / "my_rows.py"), "--variants=my-line-by-line", "--reference=my-line-by-line"),
            *("--batch-sizes=2", f"--benchmark-json={file}", "--if-busy=wait"),
        )

        assert done.returncode == 0, done.stdout
        names = [entry["name"] for entry in json.loads(file.read_text())["benchmarks"]]
        assert sorted(names) == ["test_accuracy[my-line-by-line]", "test_latency[my-line-by-line-2]"]
