"""Commands whose progress is shown while they run."""

import os
import sys
from pathlib import Path

import pytest

from crnn.measure import building
from crnn.measure.building import run_shown

HERE = Path(__file__).parent


def run(code, show=str):
    """Run Python code as a command."""
    [done] = run_shown([[sys.executable, "-c", code]], HERE, lambda _, line: show(line))
    return done


def test_result():
    """Status, output and errors are those of the command, as text."""
    done = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")

    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_full_pipes():
    """More output than both pipes hold blocks neither side."""
    done = run("import sys; sys.stdout.write('o' * 10**6); sys.stderr.write('e' * 10**6); sys.stdout.write('o')")

    assert (len(done.stdout), len(done.stderr)) == (10**6 + 1, 10**6)


def test_last_line_is_shown(tmp_path):
    """Each state of a progress bar is shown, without escape sequences and at most 80 characters of it."""
    shown, gate = [], tmp_path / "gate"
    os.mkfifo(gate)
    code = "\n".join(
        (
            "import sys",
            r"for text in ('\rbar  10 %', '\r\x1b[31mbar  20 %\x1b[0m', '\n\nnext\n', 'x' * 100, '\r  \r'):",
            "    sys.stderr.write(text); sys.stderr.flush()",
            f"    text.strip() and open({str(gate)!r}).read()",
        )
    )

    def show(line):
        shown.append(line)
        # The command goes on once this is written.
        gate.write_text("go on")

    run(code, show)

    assert shown == ["bar 10 %", "bar 20 %", "next", "x" * 80]


def test_overwritten_lines_are_left_out():
    """Of a line that carriage returns overwrite, the result holds what a terminal would show in the end."""
    done = run("import sys; sys.stderr.write('10 %\\r20 %\\r      \\rbuilt\\r\\nan error\\n')")

    assert done.stderr == "built\nan error\n"


def test_bytes_that_are_no_text():
    """Bytes that are not UTF-8 are replaced, and characters split between two reads are not."""
    done = run("import os; os.write(2, b'\\xff\\xd0'); os.write(2, b'\\x96')")

    assert done.stderr == "\ufffdЖ"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_stopped_by_an_error(error, tmp_path):
    """If showing raises or Ctrl-C is pressed, the command is interrupted, may clean up, and has ended afterwards."""
    cleaned = tmp_path / "cleaned"
    code = (
        "import pathlib, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try: print('ready', file=sys.stderr, flush=True); signal.pause()\n"
        f"finally: pathlib.Path({str(cleaned)!r}).write_text('')"
    )

    def show(_):
        raise error

    with pytest.raises(error):
        run(code, show)
    assert cleaned.exists()


def test_a_command_that_ignores_interrupts(monkeypatch):
    """A command that does not end when it is interrupted is killed."""
    monkeypatch.setattr(building, "_GRACE_S", 0.01)
    pids = []

    def show(line):
        pids.append(int(line))
        raise KeyboardInterrupt

    code = (
        "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print(os.getpid(), file=sys.stderr, flush=True)\nwhile True: signal.pause()"
    )
    with pytest.raises(KeyboardInterrupt):
        run(code, show)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_several_run_at_the_same_time(tmp_path):
    """Two commands of which each waits for the other end both, and lines come with the position of their command."""
    pipes = [tmp_path / name for name in "ab"]
    for pipe in pipes:
        os.mkfifo(pipe)
    # One opens the first pipe to write and the second to read, the other the other way round.
    code = "import sys; open({!r}, 'w').close(); open({!r}).close(); print('met', file=sys.stderr); sys.exit({})"
    other = "import sys; open({!r}).close(); open({!r}, 'w').close(); print('met', file=sys.stderr); sys.exit({})"
    commands = [[sys.executable, "-c", text.format(*map(str, pipes), at)] for at, text in enumerate((code, other))]
    shown = []
    done = run_shown(commands, HERE, lambda *words: shown.append(words))

    assert ([one.returncode for one in done], sorted(shown)) == ([0, 1], [(0, "met"), (1, "met")])


def test_all_are_stopped():
    """If showing a line of one command raises, the other one has ended afterwards too."""
    code = "import os, signal, sys; print(os.getpid(), file=sys.stderr, flush=True); signal.pause()"
    pids = {}

    def show(at, line):
        pids[at] = int(line)
        if len(pids) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_shown([[sys.executable, "-c", code]] * 2, HERE, show)
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
