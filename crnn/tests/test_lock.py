"""Only one run measures on a machine at a time."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from crnn.measure import lock
from crnn.measure.lock import BusyError, lock_path, measuring

ROOT = Path(__file__).parents[2]
_RUN = "from crnn.measure.lock import measuring\nwith measuring(wait={wait}):\n    print('held', flush=True)"
HOLD, WAIT = f"{_RUN.format(wait=False)}\n    input()", _RUN.format(wait=True)


@pytest.fixture(autouse=True)
def own_machine(tmp_path, monkeypatch):
    """Use a lock of this test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("CRNN_MEASURING", raising=False)


def start(code):
    """Start another process."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, **pipes)


@pytest.fixture
def holder():
    """A process that measures until it is stopped."""
    with start(HOLD) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        if process.poll() is None:
            process.communicate("\n")


def test_a_second_run_stops_and_names_the_first(holder):
    """A second run stops; its message gives the first run's process, command and start time."""
    with pytest.raises(BusyError, match=rf"process {holder.pid}, '-c', started 20.*--if-busy wait"), measuring(False):
        pass


def test_a_second_run_waits_if_asked_to(holder):
    """With ``wait``, a second run says what it waits for and measures once the first has ended."""
    with start(WAIT) as waiting:
        assert f"waiting: process {holder.pid}" in waiting.stderr.readline()
        holder.communicate("\n")

        assert waiting.communicate()[0] == "held\n"


def test_a_run_that_was_killed_holds_nothing(holder):
    """The system releases the lock of a process that was killed."""
    holder.kill()
    holder.wait()

    with measuring(wait=False):
        assert lock_path().exists()


def test_what_a_run_starts_belongs_to_it():
    """A suite that a run starts, as for ``--against``, measures under that run's lock."""
    with measuring(wait=False), start(WAIT) as inner:
        assert inner.communicate()[0] == "held\n"

    assert lock._HELD_BY_PARENT not in os.environ
