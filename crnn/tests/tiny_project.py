"""A checkout with a few benchmarks that start no engine, and the suite's own plugins, for the tests of ``--resume``."""

import json
import signal
import subprocess
import sys

from crnn.measure.journal import place
from crnn.tests.test_suite import ROOT, own_machine

TINY = '''
import json, os, signal, time
from pathlib import Path
import pytest
from crnn.tests.saved_runs import FOOTPRINT_INFO, accuracy
from fixtures.clock import worker_clock
from fixtures.measurements import keep

ARTIFACT = json.loads((Path(os.environ["PYTHONPATH"]) / "fixtures/artifacts/torch-original.pt.json").read_text())

@pytest.fixture(scope="session")
def engine():
    print("engine started")

def ends(test):
    """End the run in this test, if $END says so."""
    how, _, where = os.environ.get("END", "").partition(":")
    if where == test:
        {
            "interrupt": lambda: signal.raise_signal(signal.SIGINT),
            "fail": lambda: pytest.fail("for once"),
            "busy": lambda: pytest.exit("the machine is busy", returncode=4),
            "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        }[how]()

@pytest.mark.benchmark(timer=worker_clock)
@pytest.mark.parametrize("size", [1, 2])
def test_steady(benchmark, engine, size):
    ends(f"steady-{size}")
    benchmark.group = f"batch {size}"
    # A clock that adds these up rounds them.
    keep(benchmark, [0.1 * size, 1e-7 / 3, 3e9 + 0.1] * 7)
    info = accuracy() if size == 1 else FOOTPRINT_INFO
    benchmark.extra_info |= info | {"artifact_sha256": ARTIFACT["sha256"], "third": 1 / 3}

@pytest.mark.benchmark(group="real")
def test_real_timer(benchmark, engine):
    benchmark.pedantic(time.monotonic, rounds=5, iterations=3, warmup_rounds=2)

@pytest.mark.benchmark(timer=worker_clock)
def test_last(benchmark, engine):
    ends("last")
    keep(benchmark, [time.monotonic()])
'''
UNIT = "import os\n\ndef test_unit():\n    assert 'UNIT_FAILS' not in os.environ\n"
CORPUS = """
# Decoding the field corpus takes longer than these tests.
from types import SimpleNamespace
from crnn import corpus
corpus.open_corpus = lambda *_, **__: SimpleNamespace(name="field", sha256="c0", alphabet="", notes=(), size=(32, 400))
"""
INI = "[pytest]\naddopts = -p no:faker -p no:hypothesispytest --import-mode=importlib\n"
TESTS = [f"benchmarks/test_tiny.py::test_{name}" for name in ("steady[1]", "steady[2]", "real_timer", "last")]


class Project:
    """A checkout with four benchmarks and the suite's own plugins."""

    def __init__(self, folder):
        self.folder, self.cache, self.results = folder / "checkout", folder / "cache", folder / "results.json"
        self.journal = place(self.folder, self.cache)
        self.environment = own_machine(self.cache) | {"PYTHONPATH": str(ROOT)}
        (self.folder / "benchmarks").mkdir(parents=True)
        self.cache.mkdir()
        files = {"pytest.ini": INI, "test_unit.py": UNIT, "benchmarks/test_tiny.py": TINY}
        for name, content in files.items():
            (self.folder / name).write_text(content)
        (self.folder / "conftest.py").write_text((ROOT / "conftest.py").read_text("utf-8") + CORPUS)

    def run(self, *arguments, **environment):
        """Run pytest; return its output and status."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            # Ctrl-C works, even if these tests run in the background of a shell.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        return done.stdout + done.stderr, done.returncode

    def saved(self):
        """The results, and their benchmarks by name."""
        saved = json.loads(self.results.read_text())
        return saved, {benchmark["fullname"]: benchmark for benchmark in saved["benchmarks"]}
