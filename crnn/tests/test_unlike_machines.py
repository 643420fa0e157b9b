"""Runs on machines that are unlike."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from crnn.gate import summary
from crnn.measure.fingerprint import differing, fingerprint
from crnn.tests import saved_runs
from crnn.tests.saved_runs import on

ROOT = Path(__file__).parents[2]


UNLIKE = (
    *({name: "another"} for name in ("cpu", "architecture", "system", "governor", "accelerator", "python")),
    *({"cores": count} for count in (1, 64)),
    *({"suite": version} for version in ("0.0.1", "9.0")),
    *({"versions": {name: "9.9"}} for name in ("torch", "tensorflow", "ai-edge-litert", "torchao", "numpy")),
    *({"settings": {name: "3"}} for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "GLIBC_TUNABLES")),
    {"versions": {}},
    {"accelerator": "Model: Tesla T4; driver 1"},
)


@pytest.fixture
def compare(tmp_path):
    """Compare a run on another machine with the unmodified one; return the verdicts, and the exit status."""
    return functools.partial(saved_runs.compared, tmp_path)


def test_exact_and_accuracy_compare_on_any_machine(compare):
    """On another machine, all but times, memory and operators is compared, and one verdict says so."""
    verdicts, _ = compare(on({"cpu": "another"}))

    assert set(verdicts) == {"times, memory and operators"}
    assert ["--against REF" in hint for hint in summary.hints(list(verdicts.values()))] == [True]


def test_twenty_unlike_machines_are_refused(compare):
    """Each difference between machines is named, and latency is not compared."""
    named = [compare(on(machine))[0]["times, memory and operators"].reason for machine in UNLIKE]

    assert len(named) == 20
    assert [next(iter(machine)) in reason for machine, reason in zip(UNLIKE, named, strict=True)] == [True] * 20


def test_twenty_reruns_on_one_machine_are_accepted():
    """Twenty fresh processes on one machine have the same fingerprint."""
    code = "import json; from crnn.measure.fingerprint import fingerprint; print(json.dumps(fingerprint()))"
    rerun = functools.partial(subprocess.run, [sys.executable, "-c", code], capture_output=True, check=True)
    reruns = [rerun(cwd=ROOT) for _ in range(20)]

    assert [differing(fingerprint(), json.loads(rerun.stdout)) for rerun in reruns] == [[]] * 20
