"""``--resume``: an interrupted run goes on, and nothing is lost, measured twice or changed."""

import shutil
import subprocess

import pytest

from crnn.measure.journal import commit_of, hold, read
from crnn.tests.tiny_project import TESTS, Project

SETTINGS = ("--quick", "--batch-sizes=7", "--device=cpu")
USAGE, FAILED, INTERRUPTED = pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED


@pytest.fixture
def project(tmp_path):
    """A project without a journal."""
    return Project(tmp_path)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A project whose run was killed before its last benchmark; tests leave it as it is."""
    project = Project(tmp_path_factory.mktemp("stopped"))
    project.run("benchmarks", *SETTINGS, END="kill:last")
    assert [entry.test for entry in read(project.journal).entries] == TESTS[:-1]
    return project


def edited(journal, number, old, new):
    """Replace a text in a line of a journal; the first one has the number 1."""
    lines = journal.read_text().splitlines(keepends=True)
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new)
    journal.write_text("".join(lines))


class TestGoingOn:
    def test_with_the_same_settings(self, project):
        """After Ctrl-C, ``pytest benchmarks --resume`` measures the rest, and the results hold all of it unchanged."""
        output, status = project.run(
            "benchmarks", *SETTINGS, "-k", "not nothing", f"--benchmark-json={project.results}", END="interrupt:last"
        )
        assert (status, "unfinished: `pytest benchmarks --resume` keeps these 3" in output) == (INTERRUPTED, True)
        first, before = project.saved()
        output, status = project.run("benchmarks", "--resume", "--device=cpu")
        resumed, after = project.saved()

        assert (status, "resumed: 3 of 4 benchmarks were measured since" in output) == (0, True)
        assert (list(before), list(after)) == (TESTS[:-1], TESTS)
        assert {test: after[test] for test in before} == before
        changed = {"parts": None, "interrupted": None}
        assert resumed["crnn"] | changed == first["crnn"] | changed
        assert not project.journal.exists()
        [part], parts = first["crnn"]["parts"], resumed["crnn"]["parts"]
        assert (parts[0], [part["benchmarks"] for part in parts]) == (part, [3, 1])
        times = [after[test]["extra_info"]["measured_at"] for test in TESTS]
        assert (times[0], times[2], times[3]) == (part["first"], part["last"], parts[1]["first"])

    def test_nothing_is_started_for_what_was_measured(self, project):
        """If only the end is missing, no engine starts."""
        arguments = ("benchmarks", "test_unit.py", "-x", "-s")
        output, status = project.run(*arguments, UNIT_FAILS="1")
        assert (status, output.count("engine started")) == (FAILED, 1)
        output, status = project.run(*arguments, "--resume")

        assert (status, output.count("engine started"), output.count("PASSED")) == (0, 0, 5)

    def test_a_failed_benchmark_is_measured_again(self, project):
        """A benchmark that failed is not kept."""
        project.run("benchmarks", "-x", END="fail:steady-2")
        output, status = project.run("benchmarks", "--resume", f"--benchmark-json={project.results}")

        assert (status, "resumed: 1 of 4" in output, list(project.saved()[1])) == (0, True, TESTS)

    def test_the_files_of_the_command_line(self, project):
        """``pytest benchmarks --resume`` runs the files and tests that the interrupted run was asked for."""
        project.run(TESTS[0], TESTS[3], END="kill:last")
        output, status = project.run("benchmarks", "--resume")

        assert (status, output.count("PASSED")) == (0, 2)

    def test_a_cut_off_entry(self, project):
        """An entry that was cut off is measured again, and a message says so."""
        project.run("benchmarks", END="kill:last")
        project.journal.write_bytes(project.journal.read_bytes()[:-10])
        output, status = project.run("benchmarks", "--resume", END="kill:last")
        assert "the last entry was cut off: it is measured again" in output
        assert "resumed: 2 of 4" in output
        output, status = project.run("benchmarks", "--resume")

        assert (status, "cut off" in output, "resumed: 3 of 4" in output) == (0, False, True)

    def test_with_a_baseline(self, project):
        """The verdicts on what was measured before are made again; another baseline is refused."""
        stored = f"--benchmark-storage=file://{project.folder / 'stored'}"
        project.run("benchmarks", stored, "--benchmark-save=base")
        project.run("benchmarks", stored, "--benchmark-compare", END="kill:last")
        [saved] = (project.folder / "stored").glob("*/*.json")
        content = saved.read_text()
        saved.write_text(content + " ")
        output, status = project.run("benchmarks", "--resume")
        assert (status, "differs in baseline_sha256 (" in output) == (USAGE, True)
        saved.write_text(content)
        output, status = project.run("benchmarks", "--resume")

        assert (status, f"gate: against {saved}" in output, "(0001_base)" in output) == (0, True, True)


class TestRefusing:
    @pytest.mark.parametrize(
        ("arguments", "environment", "fields"),
        [
            (
                ("--batch-sizes=3", "--device", "cuda", "--variants=torch-original", "-k", "steady"),
                {"OMP_NUM_THREADS": "77"},
                ("options.batch_sizes (7, 3)", "options.device (cpu, cuda)", "options.variants (*, torch-original)",
                 "options.keyword (, steady)", "fingerprint.settings.OMP_NUM_THREADS (None, 77)"),
            ),
            (
                ("benchmarks/test_tiny.py", "-ksteady", "--variants=*"),
                {"PYTEST_ADDOPTS": "--batch-sizes=1,2"},
                ("arguments (benchmarks, benchmarks benchmarks/test_tiny.py)", "options.keyword (, steady)",
                 "options.batch_sizes (7, 1,2)"),
            ),
        ],
    )  # fmt: skip
    def test_other_options_or_another_machine(self, stopped, arguments, environment, fields):
        """What contradicts the journal is named, with both values, and nothing else; nothing is measured or lost."""
        message = f"the run that was interrupted differs in {', '.join(sorted(fields))} (before, now)"
        self.refused(stopped, message, arguments, environment)

    def test_another_commit_and_changed_code(self, stopped):
        """Another commit is named, and each file that changed, committed or not."""
        who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run(["git", "init", "--quiet"], cwd=stopped.folder, check=True)
        subprocess.run(["git", *who, "commit", "-q", "--allow-empty", "-m", "one"], cwd=stopped.folder, check=True)
        (stopped.folder / "benchmarks" / "test_new.py").touch()
        try:
            head = commit_of(stopped.folder)
            self.refused(stopped, f"differs in commit (None, {head}), sources.benchmarks/test_new.py (None, ")
        finally:
            shutil.rmtree(stopped.folder / ".git")
            (stopped.folder / "benchmarks" / "test_new.py").unlink()

    @pytest.mark.parametrize(
        ("number", "old", "new", "message"),
        [
            (1, '"corpus_sha256": "', '"corpus_sha256": "0', "differs in corpus_sha256 (0"),
            (2, '"artifact_sha256": "', '"artifact_sha256": "0', "differs in artifacts.torch-original (0"),
            (1, '"journal_version": 1', '"journal_version": 9', "has version 9, this suite reads version 1"),
            (2, '"seconds"', '"second', ", line 2 is damaged: delete the line"),
            (4, "test_real_timer", "test_gone", f"measured, but not collected now: {TESTS[0][:-9]}gone"),
        ],
    )
    def test_what_the_journal_holds(self, stopped, number, old, new, message):
        """Another corpus or artifact, another version, a damaged line and a lost test are errors that say so."""
        before = stopped.journal.read_bytes()
        edited(stopped.journal, number, old, new)
        try:
            self.refused(stopped, message)
        finally:
            stopped.journal.write_bytes(before)

    @pytest.mark.parametrize("disabled", ["--benchmark-disable", "-n1"])
    def test_disabled_benchmarks(self, stopped, disabled):
        """Where nothing is measured, nothing is resumed."""
        self.refused(stopped, "no benchmark would run", [disabled])

    def test_a_run_that_is_still_measuring(self, stopped):
        """A run is not resumed while it lasts."""
        with hold(stopped.journal):
            self.refused(stopped, "another process is measuring and writes")

    def test_nothing_to_resume(self, project):
        """Without an unfinished run, ``--resume`` is an error."""
        output, status = project.run("benchmarks", "--resume")

        assert (status, "--resume: there is no unfinished run of this checkout" in output) == (USAGE, True)
        assert list(project.cache.iterdir()) == []

    @staticmethod
    def refused(project, message, arguments=(), environment=None):
        """Check that a run is refused with a message, and that its journal is as it was."""
        before = project.journal.read_bytes()
        output, status = project.run("benchmarks", "--resume", *arguments, **(environment or {}))

        assert (status, "PASSED" in output) == (USAGE, False)
        assert message in output.split("ERROR: --resume: ")[-1]
        assert project.journal.read_bytes() == before


class TestNewRun:
    def test_sets_an_unfinished_run_aside(self, project):
        """A new run keeps the journal of an unfinished one under another name, and says so."""
        project.run("benchmarks", END="kill:last")
        before, aside = project.journal.read_bytes(), project.journal.with_suffix(".old.jsonl")
        output, status = project.run("benchmarks")

        assert (status, aside.read_bytes(), project.journal.exists()) == (0, before, False)
        assert "the journal of an unfinished run (3 benchmarks, started " in output
        assert f"was set aside as {aside}; --resume would have gone on with it" in output

    def test_that_measured_nothing_puts_it_back(self, project):
        """A run that could not start, because the machine was busy, leaves the unfinished one as it was."""
        project.run("benchmarks", END="kill:last")
        before = project.journal.read_bytes()
        _, status = project.run("benchmarks", END="busy:steady-1")

        assert (status, project.journal.read_bytes()) == (USAGE, before)

    def test_beside_another_one(self, project):
        """A run beside another one of the checkout leaves its journal alone, and says that it has none."""
        project.run("benchmarks", END="kill:last")
        before = project.journal.read_bytes()
        with hold(project.journal):
            output, status = project.run("benchmarks")

        assert (status, project.journal.read_bytes()) == (0, before)
        assert output.count("not resumable: another run of this checkout is measuring") == 1

    def test_without_a_place_for_it(self, project):
        """If no journal can be written, the run goes on and says so once."""
        output, status = project.run("benchmarks", CRNN_CACHE="/dev/null", TMPDIR=str(project.cache))

        assert (status, output.count("not resumable: /dev/null/journals/")) == (0, 1)

    @pytest.mark.parametrize(
        "arguments", [["benchmarks", "--collect-only"], ["test_unit.py"], ["benchmarks", "--benchmark-disable"]]
    )
    def test_that_measures_nothing_has_no_journal(self, project, arguments):
        """Collecting, unit tests and disabled benchmarks write no journal."""
        _, status = project.run(*arguments)

        assert (status, (project.cache / "journals").exists()) == (0, False)
