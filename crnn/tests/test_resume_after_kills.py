"""A run of the suite that is killed again and again, and resumed each time."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

from crnn.measure.journal import place, read
from crnn.tests.test_suite import MEASUREMENTS, ROOT, own_machine

KILLS = 20
SUITE = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "crnn.tests.resumable_variants", "-q"]


def entries(journal):
    """The journal's entries by test; none if it has not been started."""
    return {entry.test: entry for entry in read(journal).entries} if journal.exists() else {}


def run(arguments, environment):
    """Run the suite to its end; return its output."""
    done = subprocess.run(
        [*SUITE, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def killed(arguments, environment, journal, count, delay_s):
    """Run the suite until it has killed itself, or kill it.

    Args:
        arguments: of pytest.
        environment: of the process.
        journal: its path.
        count: number of entries in the journal after which it is killed, None if it kills itself.
        delay_s: seconds between that and the kill.
    """
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*SUITE, *arguments], cwd=ROOT, env=environment, start_new_session=True, **quiet)
    deadline = time.monotonic() + 60
    while process.poll() is None and count is not None and len(entries(journal)) < count:
        assert time.monotonic() < deadline
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
    with suppress(subprocess.TimeoutExpired):
        process.wait(60 if count is None else delay_s)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL


def test_twenty_kills(tmp_path):
    """Killed at 20 random moments, some inside a write: all is measured, once, and no value changes."""
    kept, results, journal, drawn = {}, tmp_path / "results.json", place(ROOT, tmp_path), random.Random(1)
    new = (*MEASUREMENTS, "--quick", "--batch-sizes=1", f"--benchmark-json={results}")
    environment = own_machine(tmp_path)
    expected = [line for line in run([*new, "--collect-only"], environment).splitlines() if "::" in line]
    assert not journal.exists()
    for _ in range(KILLS):
        arguments = ["benchmarks", "--resume"] if journal.exists() else new
        # The last run has to measure something, too, however much a fast machine measures before it is killed.
        most = max(1, len(expected) - len(kept) - 4)
        by_itself = most <= 4 or drawn.random() < 0.5
        cut = {"CRNN_TEST_CUT": f"{min(most, drawn.randint(1, 2)) if by_itself else most}:{drawn.randrange(10**6)}"}
        if by_itself:
            killed(arguments, environment | cut, journal, None, 0)
        else:
            killed(arguments, environment | cut, journal, len(kept) + drawn.randint(0, 2), drawn.uniform(0, 0.5))
        found = entries(journal)
        assert {test: found.get(test) for test in kept} == kept
        kept = found
    assert 0 < len(kept) < len(expected)
    run(["benchmarks", "--resume"], environment)

    saved = json.loads(results.read_text())
    benchmarks = {benchmark["fullname"]: benchmark for benchmark in saved["benchmarks"]}
    assert (sorted(benchmarks), len(saved["benchmarks"])) == (sorted(expected), len(expected))
    for test, entry in kept.items():
        benchmark = benchmarks[test]
        assert (benchmark["group"], benchmark["stats"]["data"]) == (entry.group, entry.seconds)
        assert benchmark["extra_info"] == entry.extra_info | {"measured_at": entry.measured_at}
    assert sum(part["benchmarks"] for part in saved["crnn"]["parts"]) == len(expected)
    assert not journal.exists()
