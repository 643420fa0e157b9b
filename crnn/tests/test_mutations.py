"""Mutations of a saved run that must never pass: each ends with a status other than zero, and says why."""

import copy

import numpy as np
import pytest

from crnn.gate.runs import compare_runs, read
from crnn.gate.verdicts import INCOMPARABLE_STATUS, INCONCLUSIVE_STATUS, REGRESSED_STATUS, status
from crnn.measure.packing import pack
from crnn.registry import VARIANTS
from crnn.tests.saved_runs import (
    ACCURACY,
    DEPLOYMENT,
    DEPLOYMENT_INFO,
    EDITS,
    FOOTPRINT,
    GATE,
    LATENCY,
    LINES,
    accuracy,
    run,
    write,
)

ROW = VARIANTS[0].name


def info(test, **values):
    """Set values of a benchmark; None removes it."""

    def mutate(content):
        if not values:
            content["benchmarks"] = [entry for entry in content["benchmarks"] if entry["fullname"] != test]
        for entry in content["benchmarks"]:
            if entry["fullname"] == test:
                changed = entry["extra_info"] | values
                entry["extra_info"] = {name: value for name, value in changed.items() if value is not None}

    return mutate


def times(test, name, factor):
    """Multiply the ratios of process pairs."""
    return info(test, **{name: [factor * ratio for ratio in DEPLOYMENT_INFO.get(name, [1.01, 1.0, 0.99, 1.0] * 2)]})


def session(**values):
    """Set how the session went."""
    return lambda content: content["crnn"].update(values)


def machine(**values):
    """Set fields of the fingerprint."""
    return lambda content: content["machine_info"]["fingerprint"].update(values)


def threshold(**values):
    """Set thresholds of the first row."""
    return lambda content: content["crnn"]["strictness"]["variants"][ROW]["thresholds"].update(values)


def renamed(content):
    """Rename a test."""
    content["benchmarks"][0]["fullname"] = "benchmarks/test_accuracy.py::test_reading[torch-original]"


def without_strictness(content):
    """Remove the record of limits and thresholds."""
    del content["crnn"]["strictness"]


WORSE_EDITS = EDITS + (np.arange(LINES) % 10 == 3).astype(np.uint16)
MUTATIONS = {
    "load x 10": (times(DEPLOYMENT, "deployed_load_ratios", 10), "load regressed"),
    "start x 10": (times(DEPLOYMENT, "deployed_start_ratios", 10), "start regressed"),
    "largest first call x 10": (
        times(DEPLOYMENT, "deployed_largest_first_call_ratios", 10),
        "largest_first_call regressed",
    ),
    "p95 x 10": (info(LATENCY, latency_p95_s=0.12), "p95 regressed, 12 -> 120 ms"),
    "p95 removed": (info(LATENCY, latency_p95_s=None), "latency_p95_s is None"),
    "batch 1 a fifth slower": (times(DEPLOYMENT, "deployed_ratios", 1.2), "deployed regressed"),
    "largest batch twice as slow": (times(DEPLOYMENT, "deployed_largest_ratios", 2), "deployed_largest regressed"),
    "one thread 8 % slower": (times(GATE, "gate_ratios", 1.08), "relative_latency regressed"),
    "another batch size": (info(DEPLOYMENT, deployed_largest_batch_size_lines=32), "differs in deployed_largest"),
    "no deployment": (info(DEPLOYMENT), "missing"),
    "ratios of the largest batch removed": (info(DEPLOYMENT, deployed_largest_ratios=None), "no deployed_largest"),
    "no pairs": (info(GATE, gate_ratios=[]), "too few"),
    "a pair is NaN": (info(GATE, gate_ratios=[1.0, float("nan")]), "gate_ratios is [1.0, nan]"),
    "pairs spread": (info(GATE, gate_ratios=[0.8, 1.2, 1.2, 0.8] * 2), "relative_latency inconclusive"),
    "another anchor": (info(GATE, anchor_sha256="bb"), "differs in anchor_sha256"),
    "memory": (info(FOOTPRINT, peak_memory_bytes=904_000_000), "memory regressed"),
    "parameters": (info(FOOTPRINT, parameters_stored_count=1_492_399), "parameters regressed"),
    "bytes": (info(FOOTPRINT, file_bytes=6_100_000), "bytes regressed"),
    "another file": (info(FOOTPRINT, artifact_sha256="b0" * 32), "artifact not comparable"),
    "CER": (info(ACCURACY, **accuracy(WORSE_EDITS)), "cer regressed"),
    "loss": (info(ACCURACY, **accuracy(losses=np.full(LINES, 0.4, np.float32))), "loss regressed"),
    "CER is NaN": (info(ACCURACY, cer_fraction=float("nan")), "cer_fraction is nan"),
    "no edits": (info(ACCURACY, line_edits=pack(EDITS[:0])), "line_edits has 0 lines"),
    "another corpus": (info(ACCURACY, corpus_sha256="c1"), "differs in corpus_sha256"),
    "renamed test": (renamed, "missing"),
    "a test failed": (session(failed=["benchmarks/x.py::y"]), "benchmarks/x.py::y failed"),
    "interrupted": (session(interrupted=True), "interrupted"),
    "no session record": (lambda content: content.update(crnn={}), "no session record"),
    "another library": (machine(versions={"onnxruntime": "9.9"}), "unlike machines"),
    "another processor": (machine(cpu="another"), "unlike machines"),
    "a looser threshold": (threshold(max_bytes=10**9), f"{ROW}: max_bytes loosened"),
    "a limit off": (
        lambda content: content["crnn"]["strictness"]["variants"][ROW]["limits"].update(latency="off"),
        f"{ROW}: gate.latency loosened",
    ),
    "an edited default": (
        lambda content: content["crnn"]["strictness"]["limits"].update(relative_latency="50 %"),
        "gate.relative_latency loosened",
    ),
    "not watched": (
        lambda content: content["crnn"]["strictness"]["variants"][ROW].update(watched=False),
        f"{ROW}: watched loosened",
    ),
    "a batch size less": (
        lambda content: content["crnn"]["strictness"].update(batch_sizes=[1, 32]),
        "batch_sizes loosened",
    ),
    "no record of limits": (without_strictness, "does not record its limits"),
}
BASELINES = {
    "failed": (session(failed=["benchmarks/x.py::y"]), "benchmarks/x.py::y failed"),
    "interrupted": (session(interrupted=True), "interrupted"),
    "quick": (session(quick=True), "a --quick run"),
    "partial": (
        lambda content: (info(DEPLOYMENT)(content), session(files_left_out=["test_gate.py"])(content)),
        "the baseline is a partial run, without it",
    ),
    "NaN": (info(ACCURACY, cer_fraction=float("nan")), "cer_fraction is nan"),
}


def verdicts_on(before, after, folder):
    """The verdicts on two contents."""
    return compare_runs(read(write(folder / "old.json", before)), read(write(folder / "new.json", after)), {})


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_run_never_passes(name, tmp_path):
    """A run with this mutation ends red, and one of its verdicts says why."""
    mutate, message = MUTATIONS[name]
    after = copy.deepcopy(run())
    mutate(after)
    found = verdicts_on(run(), after, tmp_path)

    assert status(found) in {REGRESSED_STATUS, INCONCLUSIVE_STATUS, INCOMPARABLE_STATUS}
    assert [str(verdict) for verdict in found if verdict.status and message in str(verdict)] != []


@pytest.mark.parametrize("name", BASELINES)
def test_an_unfit_baseline_never_passes(name, tmp_path):
    """An unmutated run against an unfit baseline ends red, and a verdict says why."""
    mutate, message = BASELINES[name]
    before = copy.deepcopy(run())
    mutate(before)
    found = verdicts_on(before, run(), tmp_path)

    assert status(found) == INCOMPARABLE_STATUS
    assert [str(verdict) for verdict in found if verdict.status and message in str(verdict)] != []


def test_an_unmutated_run_passes(tmp_path):
    """Compared with itself, a run has no verdict but ``same``."""
    assert {verdict.word for verdict in verdicts_on(run(), run(), tmp_path)} == {"same"}
