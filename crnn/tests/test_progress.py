"""The progress of a run as a user sees it: in a pipe, in a terminal, and where there must be none."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import termios

import pytest

from crnn.tests.rows_of_nothing import (
    BENCHMARKS,
    CONFTEST,
    KIND,
    NOISE,
    ROOT,
    read_until_end,
    remember,
    rows,
    screen,
    without_times,
)
from crnn.tests.test_suite import own_machine

CHANGES_OUTPUT = {"COLUMNS", "CI", "FORCE_COLOR", "PY_COLORS", "PYTHONUNBUFFERED", "PYTEST_ADDOPTS"}


@pytest.fixture
def project(tmp_path):
    """A project with benchmarks of rows that do nothing, and a unit test."""
    for name, text in (("benchmarks/test_rows.py", BENCHMARKS), ("unit/test_unit.py", "def test_one(): pass\n")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = " + str(ROOT))
    return tmp_path


@pytest.fixture
def command(project):
    """Arguments of ``subprocess`` for pytest in this project, and its environment."""

    def command(*arguments, rows="good", plugin=True, **environment):
        loaded = ["-p", "fixtures.progress"] if plugin else []
        kept = own_machine(project / "cache").items()
        outside = {name: value for name, value in kept if name not in CHANGES_OUTPUT}
        options = ["-p", "no:cacheprovider", "-p", "no:faker", "-p", "no:hypothesispytest", "--benchmark-quiet"]
        return {
            "args": [sys.executable, "-m", "pytest", *loaded, *options, "--tb=no", *(arguments or ["benchmarks"])],
            "cwd": project,
            "env": outside | {"PYTHONPATH": str(ROOT), "ROWS": rows, "NO_COLOR": "1"} | environment,
        }

    return command


@pytest.fixture
def piped(command):
    """Run pytest with its output in a pipe; return the lines."""

    def piped(*arguments, **options):
        done = subprocess.run(
            **command(*arguments, **options), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        return done.stdout.decode().split("\n")

    return piped


@pytest.fixture
def in_terminal(command):
    """Run pytest in a terminal of 100 columns; return what it writes."""

    def in_terminal(*arguments, **options):
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 100))
        with subprocess.Popen(
            **command(*arguments, **options), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        ) as process:
            os.close(slave)
            try:
                return read_until_end(master)
            finally:
                process.kill()
                os.close(master)

    return in_terminal


class TestPipe:
    def test_one_line_per_row(self, piped, project):
        """A row's line holds its place, its numbers, failures or the reason of a skip, and the time left."""
        remember(project, {"good": 3600.0, "absent": 0.0, "broken": 3600.0, "child": 3600.0})
        output = piped(rows="good absent broken child")

        assert "4 rows, 3 benchmarks each; about 3 h 00 min (from earlier runs on this machine)" in output
        # The first row takes almost no time, so the others are expected to take half as long.
        assert without_times(rows(output)) == [
            "1/4  good    CER 0.72 %, batch 1: 5.3 ms, batch 32: 170 ms  _ s, 1 h 00 min left",
            "2/4  absent  skipped: needs a framework; see requirements.txt  _ s, 1 h 00 min left",
            "3/4  broken  CER 0.72 %, FAILED test_latency[broken-1], FAILED test_latency[broken-32]  _ s, 30 min left",
            "conversions built  _ s",
            "4/4  child   CER 0.72 %, batch 1: 5.3 ms, batch 32: 170 ms  _ s",
        ]

    def test_lines_are_plain(self, piped):
        """Neither carriage returns nor the output of workers are in a pipe."""
        output = "\n".join(piped(rows="good child"))

        assert [text for text in ("\r", "\x1b", *NOISE) if text in output] == []

    def test_a_line_comes_when_its_row_is_finished(self, command, project):
        """A reader gets a row's line while the next row is measured."""
        os.mkfifo(project / "gate")
        with subprocess.Popen(
            **command(rows="good held", GATE=str(project / "gate")), stdout=subprocess.PIPE
        ) as process:
            received = b""
            while b"1/2  good" not in received and select.select([process.stdout], [], [], 60)[0]:
                received += os.read(process.stdout.fileno(), 65536)
            # Opens once the second row reads from it.
            (project / "gate").write_text("go on")
            rest = read_until_end(process.stdout.fileno())

        assert (b"1/2  good" in received, b"2/2" in received, "2/2  held" in rest) == (True, False, True)

    def test_conversions_have_a_line(self, piped):
        """What conversions took is said once, before the line of the row that they were built for."""
        output = [line.split("  ") for line in piped(rows="good child") if "built" in line or "2/2" in line]

        assert [words[0] for words in output] == ["conversions built", "2/2"]

    def test_a_failure_without_a_row(self, piped):
        """A failed test that belongs to no row has a line of its own."""
        assert rows(piped(rows="good broken-harness"))[-1] == "FAILED test_harness"

    def test_summary_names_what_failed(self, piped):
        """Pytest's own summary is complete."""
        output = piped(rows="broken good absent")

        summary = [line.partition(" - ")[0] for line in output if line.startswith("FAILED ")]
        assert summary == [f"FAILED benchmarks/test_rows.py::test_latency[broken-{size}]" for size in (1, 32)]
        assert "2 failed, 5 passed, 3 skipped" in output[-2]

    def test_quiet(self, piped):
        """With one -q, each row still has its line."""
        output = piped("benchmarks", "-q", rows="good")

        assert [line for line in output if line.startswith("1/1  good  CER 0.72 %")] != []

    def test_very_quiet(self, piped):
        """With -qq, nothing is added to pytest's dots."""
        own = piped("benchmarks", "-qq", rows="good")

        assert own[0].split() == ["....", "[100%]"]


class TestVerbose:
    @pytest.mark.parametrize("run", ["piped", "in_terminal"])
    def test_pytest_keeps_its_lines(self, run, request):
        """With -v, a line per row is added to those of pytest."""
        output = request.getfixturevalue(run)("benchmarks", "-v", rows="good absent")
        lines = screen(output) if isinstance(output, str) else output

        own = [line.split()[0].rpartition("::")[2] for line in lines if re.search(r"PASSED|SKIPPED", line)]
        parameters = ["good", "good-1", "good-32", "absent", "absent-1", "absent-32"]
        tests = [f"test_{'latency' if '-' in name else 'accuracy'}[{name}]" for name in parameters]
        assert own == [*tests, "test_harness"]
        assert [line[:11].strip() for line in lines if re.match(r"\d/\d ", line)] == ["1/2  good", "2/2  absent"]


class TestTerminal:
    def test_finished_rows_stay(self, in_terminal):
        """In the end there is one line per row, one per failure, one per reason of a skip, and no dots."""
        lines = rows(screen(in_terminal(rows="good absent broken")))

        assert without_times(lines) == [
            "1/3  good    CER 0.72 %, batch 1: 5.3 ms, batch 32: 170 ms  _ s",
            "absent: skipped: needs a framework; see requirements.txt",
            "broken: FAILED test_latency[broken-1]",
            "broken: FAILED test_latency[broken-32]",
            "3/3  broken  CER 0.72 %  _ s",
        ]

    def test_live_line(self, in_terminal):
        """The live line shows the row, what is done for it or for another one, and the time left."""
        written = in_terminal(rows="good child")
        drawn = [part.strip("█▏▎▍▌▋▊▉ ") for part in written.split("\r")]

        for expected in (
            r"\[1/2\] good: starting · \d+ (s|min) left",
            r"\[1/2\] good: evaluating 40 lines · \d+ (s|min) left",
            r"\[1/2\] good: timing batch 32 · \d+ (s|min) left",
            r"\[2/2\] child: parent: building: 50 % · .+",
        ):
            assert [text for text in drawn if re.fullmatch(expected, text)] != [], expected

    def test_live_line_fits(self, in_terminal):
        """The live line is narrower than the terminal; else its end would stay behind."""
        written = in_terminal(rows=f"good {'x' * 120}")

        assert max(len(part) for part in written.split("\r") if "[2/2]" in part) == 99

    def test_workers_are_not_heard(self, in_terminal):
        """What workers and libraries print appears nowhere."""
        assert [noise for noise in NOISE if noise in in_terminal(rows="good child")] == []

    def test_interrupted(self, in_terminal):
        """After Ctrl-C the live line is gone, and pytest's summary follows the finished rows."""
        lines = screen(in_terminal(rows="good child", INTERRUPTED_AT="child"))

        assert [line[:9] for line in rows(lines)] == ["1/2  good"]
        assert [line for line in lines if "3 passed" in line] != []
        assert [line for line in lines if "[2/2]" in line] == []

    def test_without_tqdm(self, in_terminal):
        """Without tqdm, a terminal gets the same lines as a pipe."""
        written = in_terminal(rows="good absent", NO_TQDM="1")

        assert [line[:11].strip() for line in rows(screen(written))] == ["1/2  good", "2/2  absent"]
        assert "[1/2]" not in written

    def test_without_capture(self, in_terminal):
        """With -s, whatever is printed would run into a live line: there is none, but each row has its line."""
        written = in_terminal("benchmarks", "-s", rows="good")

        assert ("[1/1]" in written, "1/1  good  CER 0.72 %" in written) == (False, True)


class TestInactive:
    @pytest.mark.parametrize(
        ("run", "arguments"),
        [("piped", ["--collect-only", "-q", "benchmarks"]), ("piped", ["unit", "-v"]), ("in_terminal", ["unit"])],
    )
    def test_other_runs_look_as_before(self, run, arguments, request):
        """Without rows to measure, the output is the same as without the plugin."""
        outputs = []
        for plugin in (False, True):
            output = request.getfixturevalue(run)(*arguments, plugin=plugin)
            lines = screen(output) if isinstance(output, str) else output
            outputs.append(without_times(lines))

        assert outputs[0] == outputs[1]

    def test_unit_tests_beside_rows_have_their_dots(self, piped):
        """In a run of both, unit tests still have dots behind the name of their file."""
        assert [line for line in piped("unit", "benchmarks", rows="good") if line.startswith("unit/test_unit.py .")]


class TestMemory:
    def test_a_second_run_knows_the_first(self, piped, project):
        """A finished row is remembered with its seconds, a skipped one with 0, a failed one not at all."""
        before = piped(rows="good absent broken")
        after = piped(rows="good absent broken")

        assert [line for line in before if "(a guess: no earlier run)" in line] != []
        assert [line for line in after if "from earlier runs on this machine, a guess for 1 of the rows" in line] != []
        kept = json.loads((project / "cache" / "durations.json").read_text())[""]
        assert {name: kinds[KIND] > 0 for name, kinds in kept.items() if KIND in kinds} == {
            "good": True,
            "absent": False,
        }

    def test_restored_rows_take_no_time(self, piped, project):
        """Rows whose results are there already are expected to take no time, and their seconds are not kept."""
        remember(project, {"good": 60.0})
        output = piped(rows="good", RESTORED="1")

        assert [line for line in output if line.startswith("1 row, 3 benchmarks; about 0 s")] != []
        assert json.loads((project / "cache" / "durations.json").read_text())[""]["good"] == {KIND: 60.0}
