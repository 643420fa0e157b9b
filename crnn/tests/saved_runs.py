"""A small saved run in the suite's format, for the tests of the gate to modify."""

import copy
import json

import numpy as np

from crnn.gate.measures import parse
from crnn.gate.runs import compare_runs, read
from crnn.gate.strictness import strictness
from crnn.gate.verdicts import status
from crnn.measure.fingerprint import fingerprint
from crnn.measure.pair_records import Deployment, RelativeLatency
from crnn.measure.records import Accuracy, Footprint, Identity, Latency
from crnn.registry import VARIANTS

LINES, CHARACTERS = 400, 12
IDENTITY = Identity(
    variant="torch-original",
    technique="original",
    runtime="PyTorch 2.13.0",
    device="cpu",
    threads_count=2,
    original="torch-original",
    artifact_sha256="a0" * 32,
    corpus="field",
    corpus_sha256="c0",
    lines_count=LINES,
).to_json()
ACCURACY, FOOTPRINT, LATENCY, GATE, DEPLOYMENT = (
    f"benchmarks/test_{file}.py::test_{name}]"
    for file, name in (
        ("accuracy", "accuracy[torch-original"),
        ("footprint", "footprint[torch-original"),
        ("latency", "latency[torch-original-1"),
        ("gate", "process_pairs[torch-original"),
        ("gate", "deployment[torch-original"),
    )
)
EDITS = np.where(np.arange(LINES) % 20 == 0, 1, 0).astype(np.uint16)


def accuracy(edits=EDITS, losses=None):
    """The record that ``test_accuracy`` saves."""
    cer = float(edits.sum() / (CHARACTERS * LINES))
    record = Accuracy(
        cer_fraction=cer,
        cer_low_fraction=cer,
        cer_high_fraction=cer,
        ctc_loss_nats_per_line=0.3,
        exact_lines_fraction=0.9,
        edits_count=int(edits.sum()),
        characters_count=CHARACTERS * LINES,
        unseen_labels_count=0,
        line_edits=edits,
        line_characters=np.full(LINES, CHARACTERS, np.uint16),
        line_losses_nats=np.full(LINES, 0.3, np.float32) if losses is None else losses,
    )
    return IDENTITY | record.to_json()


FOOTPRINT_INFO = (
    IDENTITY
    | Footprint(
        parameters_stored_count=1_492_398,
        parameters_nonzero_count=1_492_398,
        multiply_adds_per_line_count=233_753_600,
        file_bytes=6_000_000,
        compressed_bytes=5_500_000,
        deflated_weights_bytes=5_400_000,
        file_format=".pt",
        resident_after_load_bytes=300_000_000,
        peak_memory_bytes=800_000_000,
        largest_batch_size_lines=128,
        processes_count=3,
        load_s=1.0,
    ).to_json()
)
LATENCY_INFO = (
    IDENTITY
    | Latency(
        batch_size_lines=1,
        latency_median_s=0.010,
        throughput_lines_per_s=100.0,
        first_call_s=0.1,
        warmup_calls_count=3,
        timed_calls_count=60,
        latency_p95_s=0.012,
        calls_per_block_count=1,
        latency_anchor="anchor",
        latency_anchor_sha256="aa",
        anchor_ratios=[2.0, 2.1, 1.9],
        process_medians_s=[0.010] * 3,
        peak_memory_bytes=500_000_000,
        timed_answers_log_prob_difference_nats=0.0,
    ).to_json()
)
COMMIT = "c0" * 20
_STEADY = [1.01, 1.0, 0.99, 1.0, 1.005, 0.995, 1.0, 1.0]
GATE_INFO = (
    IDENTITY
    | RelativeLatency(
        anchor="torch_anchor",
        anchor_sha256="aa",
        gate_batch_size_lines=1,
        gate_threads_count=1,
        gate_pinned=True,
        gate_plan="Plan(...)",
        gate_ratios=_STEADY,
    ).to_json()
)


DEPLOYMENT_INFO = (
    IDENTITY
    | Deployment(
        deployed_ratios=_STEADY,
        deployed_largest_ratios=_STEADY,
        deployed_start_ratios=_STEADY,
        deployed_largest_first_call_ratios=_STEADY,
        deployed_load_ratios=_STEADY,
        deployed_largest_batch_size_lines=128,
        deployed_anchor="torch_anchor",
        deployed_anchor_sha256="aa",
        deployed_plan="Plan(...)",
    ).to_json()
)
STRICTNESS = strictness(VARIANTS, (1, 32, 128))


def run(**changed):
    """A saved run's JSON; named benchmarks are replaced, or omitted if None."""
    infos = {
        ACCURACY: accuracy(),
        FOOTPRINT: FOOTPRINT_INFO,
        LATENCY: LATENCY_INFO,
        GATE: GATE_INFO,
        DEPLOYMENT: DEPLOYMENT_INFO,
    }
    names = {"accuracy": ACCURACY, "footprint": FOOTPRINT, "latency": LATENCY, "gate": GATE, "deployment": DEPLOYMENT}
    for name, info in changed.items():
        infos[names[name]] = info
    return copy.deepcopy(
        {
            "machine_info": {"fingerprint": fingerprint()},
            "commit_info": {"id": COMMIT, "dirty": False},
            "crnn": {
                "quick": False,
                "failed": [],
                "left_out": 0,
                "files_left_out": [],
                "interrupted": False,
                "strictness": STRICTNESS,
            },
            "benchmarks": [
                {"fullname": name, "name": name, "extra_info": info, "stats": {"median": 0.01, "data": [0.01]}}
                for name, info in infos.items()
                if info is not None
            ],
        }
    )


def write(path, content):
    """Write the run to a file; return its path."""
    path.write_text(json.dumps(content), "utf-8")
    return path


def on(machine):
    """A run on a machine whose fingerprint has these fields."""
    content = run()
    content["machine_info"]["fingerprint"] |= machine
    return content


def compared(folder, after, limits="", before=None):
    """Compare a run with another one, by default the unmodified one.

    Args:
        folder: for the files.
        after: the JSON of the run.
        limits: as in ``--gate``.
        before: the JSON of the baseline.

    Returns:
        The verdicts that are not ``same`` by measurement, by test if they are of all; and the exit status.
    """
    old, new = (
        read(write(folder / f"{name}.json", content)) for name, content in (("old", before or run()), ("new", after))
    )
    verdicts = compare_runs(old, new, parse(limits))
    changed = [verdict for verdict in verdicts if verdict.word != "same"]
    return {v.test if v.measure == "all" else v.measure: v for v in changed}, status(verdicts)
