"""The order of rows, the reference that is added to them, and the options behind both."""

import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from crnn.registry import ancestors, get

ROOT = Path(__file__).parents[2]


def collect(*options):
    """Collect the benchmarks; return (test, row) of those that belong to a row, and the whole output."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "benchmarks", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    ids = [line.split("::")[1].rstrip("]").split("[") for line in done.stdout.splitlines() if "[" in line]
    return [(test, row.removesuffix("-1")) for test, row in ids], done.stdout + done.stderr


def rows(tests):
    """The rows in their order, without repetitions in sequence."""
    return [row for row, _ in groupby(row for _, row in tests)]


def test_a_seed_repeats_the_order():
    """The same seed gives the same order, another seed another."""
    one, same, other = (rows(collect("--quick", f"--order-seed={seed}")[0]) for seed in (1, 1, 2))

    assert one == same
    assert one != other
    assert sorted(one) == sorted(other)


@pytest.mark.parametrize("options", [("--quick",), ()])
def test_a_row_s_tests_are_together(options):
    """All benchmarks of a row follow each other, so that a finished row is complete."""
    order = rows(collect("--variants=ort-*", "--batch-sizes=1", "--order-seed=1", *options)[0])

    assert len(order) == len(set(order))


def test_latencies_of_the_reference_come_last():
    """With several processes, the reference is measured until the end; its other tests are in their place."""
    tests, _ = collect("--variants=torch-*", "--batch-sizes=1", "--order-seed=1")

    assert tests[-1] == ("test_latency", "torch-original")
    assert ("test_accuracy", "torch-original") in tests[:3]


@pytest.mark.parametrize("seed", range(3))
def test_a_row_comes_after_those_that_it_is_compared_with(seed):
    """Parents and originals come before the rows that need their outputs, in any order of the rest."""
    order = rows(collect("--quick", "--batch-sizes=1", f"--order-seed={seed}")[0])
    place = {row: index for index, row in enumerate(order)}
    later = [(row, a.name) for row in order for a in ancestors(get(row)) if place[a.name] > place[row]]

    assert later == []


@pytest.mark.parametrize(
    ("options", "added"),
    [
        ((), {"torch-original"}),
        (("--reference=torch-distilled",), {"torch-distilled"}),
        (("--reference=original",), {"tf-original"}),
        (("--reference=ort-tf2onnx",), set()),
    ],
)
def test_the_reference_is_timed_too(options, added):
    """The row that speed-ups refer to is timed although it is not selected; nothing else of it is measured."""
    tests, _ = collect("--quick", "--variants=ort-tf2onnx", "--batch-sizes=1", *options)

    assert {row for test, row in tests if test == "test_latency"} == {"ort-tf2onnx"} | added
    assert {row for test, row in tests if test != "test_latency"} == {"ort-tf2onnx"}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--reference=torch", "--reference: no variant 'torch'; there are: original, torch-original, "),
        ("--processes=0", "--processes 0: a latency needs at least one process"),
    ],
)
def test_bad_options(option, message):
    """An unknown reference, or no process, is a usage error that says what is possible."""
    assert message in collect(option)[1]
