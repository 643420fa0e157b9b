"""The order of rows, the reference that is added to them, and the options behind both."""

import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

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


def test_a_quick_run_takes_one_row_after_the_other():
    """With one process, all tests of a row are together."""
    order = rows(collect("--quick", "--variants=ort-*", "--order-seed=1")[0])

    assert len(order) == len(set(order))


def test_several_processes_take_two_rounds():
    """With several processes, all rows are evaluated first, and timed in the same order afterwards."""
    tests, _ = collect("--variants=ort-*,torch-original", "--batch-sizes=1", "--order-seed=1")
    rounds = [[row for test, row in tests if (test == "test_accuracy") == first] for first in (True, False)]

    assert [test for test, _ in tests[:5]] == ["test_accuracy"] * 5
    assert [row for row, _ in groupby(rounds[1])] == rounds[0]


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
