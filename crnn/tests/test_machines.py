"""Machines that differ, versions that differ, and environments of other commits."""

import subprocess
import sys

import pytest

from crnn.gate import environments
from crnn.gate.environments import differing, python_of, requirements
from crnn.gate.machines import Machines
from crnn.gate.runs import RunError, compare_runs, read
from crnn.gate.verdicts import INCOMPARABLE_STATUS, REGRESSED_STATUS, status
from crnn.tests.saved_runs import DEPLOYMENT_INFO, run, write

MACHINE = {"cpu": "one", "cores": 2, "versions": {"torch": "2.12.0", "numpy": "2.4"}, "python": "3.11.7"}


class TestMachines:
    def test_like_machines_differ_in_nothing(self):
        """Equal fingerprints leave nothing out."""
        assert Machines.of(MACHINE, MACHINE) == Machines()

    def test_versions_make_times_incomparable(self):
        """Another version of a library makes a machine unlike."""
        other = MACHINE | {"versions": {"torch": "2.13.0", "numpy": "2.4"}}

        assert Machines.of(MACHINE, other).unlike == ("versions.torch (2.12.0, 2.13.0)",)

    def test_accepted_versions_are_named(self):
        """Accepted versions are no reason not to compare, but they are listed; other differences stay."""
        other = MACHINE | {"versions": {"torch": "2.13.0", "numpy": "2.4"}, "cores": 4}
        found = Machines.of(MACHINE, other, accept_versions=True)

        assert (found.unlike, found.versions) == (("cores (2, 4)",), ("versions.torch (2.12.0, 2.13.0)",))

    def test_no_fingerprint_is_unlike_any(self):
        """A run without a fingerprint is of no known machine."""
        assert Machines.of(None, MACHINE).unlike == ("fingerprint (none saved)",)


@pytest.fixture
def newer(tmp_path):
    """The verdicts on a run with a newer library, in which the largest batch takes so many times as long."""

    def newer(factor, **options):
        ratios = [factor * ratio for ratio in DEPLOYMENT_INFO["deployed_largest_ratios"]]
        after = run(deployment=DEPLOYMENT_INFO | {"deployed_largest_ratios": ratios, "runtime": "PyTorch 2.99.0"})
        after["machine_info"]["fingerprint"]["versions"] = {"torch": "2.99.0"}
        sides = [read(write(tmp_path / f"{name}.json", side)) for name, side in (("old", run()), ("new", after))]
        return compare_runs(*sides, {}, **options)

    return newer


class TestVersions:
    def test_a_newer_library_is_not_compared_unasked(self, newer):
        """Times across versions are not comparable by default."""
        assert status(newer(1)) == INCOMPARABLE_STATUS

    def test_a_slower_library_is_red(self, newer):
        """With ``--accept-versions`` a library that is slower is a regression, and the verdict names the versions."""
        verdicts = newer(1.5, accept_versions=True)
        [slower] = [verdict for verdict in verdicts if verdict.word == "slower"]

        assert status(verdicts) == REGRESSED_STATUS
        assert "across versions: versions." in slower.reason

    def test_a_library_as_fast_passes(self, newer):
        """With ``--accept-versions`` a library that is as fast passes."""
        assert status(newer(1, accept_versions=True)) == 0


class TestEnvironments:
    @pytest.fixture
    def trees(self, tmp_path, monkeypatch):
        """This checkout and another one, with their requirements; environments go into a temporary folder."""
        monkeypatch.setenv("CRNN_CACHE", str(tmp_path / "cache"))

        def trees(ours, theirs):
            for name, text in (("ours", ours), ("theirs", theirs)):
                (tmp_path / name).mkdir()
                (tmp_path / name / "requirements.txt").write_text(text)
            return tmp_path / "theirs", tmp_path / "ours"

        return trees

    def test_comments_and_order_do_not_count(self, trees):
        """Only the requirements themselves make two checkouts differ."""
        theirs, ours = trees("# all\na==1\nb==2\n", "b==2 # two\n\na==1\n")

        assert requirements(theirs) == requirements(ours) == ["a==1", "b==2"]
        assert python_of(theirs, ours, "HEAD~1") == sys.executable

    def test_differences_are_named(self):
        """Each package that differs is named with both versions."""
        ours, theirs = ["numpy==2", "torch==2.13", "new==1"], ["numpy==2", "torch==2.12"]

        assert differing(ours, theirs) == "nothing (here new==1), torch==2.12 (here torch==2.13)"

    def test_other_requirements_get_an_environment_of_their_own(self, trees, monkeypatch):
        """Other requirements are installed into an environment that is made once."""
        made = []
        monkeypatch.setattr(environments, "_run", lambda command, _: made.append(command[1:3]))
        theirs, ours = trees("a==1\n", "a==2\n")
        (environments.cache_folder() / "environments").mkdir(parents=True)
        monkeypatch.setattr(environments.shutil, "rmtree", lambda folder, **_: folder.mkdir(exist_ok=True))
        pythons = [python_of(theirs, ours, "HEAD~1") for _ in range(2)]

        assert pythons[0] == pythons[1] != sys.executable
        assert made == [["-m", "venv"], ["-m", "pip"]]

    def test_what_cannot_be_installed_is_named(self, trees, monkeypatch):
        """If nothing can be installed, the message names the packages that differ."""
        refused = subprocess.CompletedProcess([], 1, "", "no route to the index")
        monkeypatch.setattr(environments.subprocess, "run", lambda *_, **__: refused)
        theirs, ours = trees("a==1\n", "a==2\n")

        with pytest.raises(RunError, match=r"HEAD~1 requires a==2 \(here a==1\), which cannot be installed: no route"):
            python_of(theirs, ours, "HEAD~1")
