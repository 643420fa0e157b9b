"""A project whose benchmarks do nothing, for tests of the progress; and what its output shows."""

import json
import os
import re
import select
from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCHMARKS = """
import os
import sys
import pytest

@pytest.fixture(scope="session")
def variant(request):
    return request.param

@pytest.fixture(scope="session")
def runner(variant, progress):
    progress.tell(variant, "starting")
    os.write(1, b"a worker talks")
    print("a library talks", file=sys.stderr)
    if variant == "absent":
        pytest.skip(f"{variant} needs a framework; see requirements.txt")
    if variant == os.environ.get("INTERRUPTED_AT"):
        raise KeyboardInterrupt
    if variant == "held" and (gate := os.environ.get("GATE")):
        with open(gate) as file:
            file.read()
    return variant

def pytest_generate_tests(metafunc):
    if "variant" in metafunc.fixturenames:
        metafunc.parametrize("variant", os.environ["ROWS"].split(), indirect=True, scope="session")

def test_accuracy(benchmark, runner, progress):
    progress.tell(runner, "evaluating 40 lines")
    benchmark.pedantic(lambda: None)
    benchmark.extra_info["cer_fraction"] = 0.0072

@pytest.mark.parametrize("batch_size", [1, 32])
def test_latency(benchmark, runner, batch_size, progress):
    building = runner == "child" and batch_size == 1
    progress.tell(*("parent", "building: 50 %") if building else (runner, f"timing batch {batch_size}"))
    benchmark.pedantic(lambda: None)
    benchmark.extra_info |= {"batch_size_lines": batch_size, "latency_median_s": 0.0053 * batch_size}
    assert runner != "broken"

def test_harness():
    assert "broken-harness" not in os.environ["ROWS"]
"""
CONFTEST = """
import os
import sys

if "NO_TQDM" in os.environ:
    sys.modules["tqdm"] = None

def pytest_collection_modifyitems(items):
    if "RESTORED" in os.environ:
        from fixtures.progress import PROGRESS
        items[0].config.stash[PROGRESS].restored.update(item.nodeid for item in items)
"""
KIND = "test_accuracy, test_latency"
NOISE = ("a worker talks", "a library talks")


def read_until_end(descriptor):
    """Everything that a terminal or a pipe receives."""
    received = b""
    while select.select([descriptor], [], [], 60)[0]:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # how a terminal ends on Linux
            break
        if not data:
            break
        received += data
    return received.decode()


def screen(written):
    """The lines that a terminal shows in the end: a carriage return goes back to the start of the line."""
    lines = []
    for line in written.replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return lines


def rows(lines):
    """The lines between the overview and the summary."""
    begin = next(index for index, line in enumerate(lines) if "about" in line and "row" in line)
    end = next(index for index, line in enumerate(lines) if index > begin and line.startswith(("==", "!!")))
    return [line for line in lines[begin + 1 : end] if line]


def without_times(lines):
    """Lines with the variable seconds replaced."""
    return [re.sub(r"[\d.]+ ?s\b", "_ s", line) for line in lines]


def remember(project, seconds):
    """Write what earlier runs took per row."""
    (project / "cache").mkdir()
    content = {"": {name: {KIND: s} for name, s in seconds.items()} | {"test_harness": {"test_harness": 0.0}}}
    (project / "cache" / "durations.json").write_text(json.dumps(content))
