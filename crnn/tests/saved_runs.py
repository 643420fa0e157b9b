"""A saved run as the suite writes it, small, to be changed by the tests of the gate."""

import copy
import json

import numpy as np

from crnn.measure.fingerprint import fingerprint
from crnn.measure.packing import pack

LINES, CHARACTERS = 400, 12
IDENTITY = {
    "variant": "torch-original",
    "runtime": "PyTorch 2.13.0",
    "device": "cpu",
    "threads_count": 2,
    "corpus": "field",
    "corpus_sha256": "c0",
    "lines_count": LINES,
    "artifact_sha256": "a0" * 32,
}
ACCURACY, FOOTPRINT, LATENCY, GATE = (
    f"benchmarks/test_{file}.py::test_{name}]"
    for file, name in (
        ("accuracy", "accuracy[torch-original"),
        ("footprint", "footprint[torch-original"),
        ("latency", "latency[torch-original-1"),
        ("gate", "process_pairs[torch-original"),
    )
)
EDITS = np.where(np.arange(LINES) % 20 == 0, 1, 0).astype(np.uint16)


def accuracy(edits=EDITS, losses=None):
    """What ``test_accuracy`` keeps."""
    return IDENTITY | {
        "cer_fraction": float(edits.sum() / (CHARACTERS * LINES)),
        "ctc_loss_nats_per_line": 0.3,
        "line_edits": pack(edits),
        "line_characters": pack(np.full(LINES, CHARACTERS, np.uint16)),
        "line_losses_nats": pack(np.full(LINES, 0.3, np.float32) if losses is None else losses),
    }


FOOTPRINT_INFO = IDENTITY | {
    "parameters_stored_count": 1_492_398,
    "parameters_nonzero_count": 1_492_398,
    "multiply_adds_per_line_count": 233_753_600,
    "file_bytes": 6_000_000,
    "compressed_bytes": 5_500_000,
    "peak_memory_bytes": 800_000_000,
}
LATENCY_INFO = IDENTITY | {"batch_size_lines": 1, "latency_median_s": 0.010}
GATE_INFO = IDENTITY | {
    "anchor": "torch_anchor",
    "anchor_sha256": "aa",
    "gate_batch_size_lines": 1,
    "gate_threads_count": 1,
    "gate_pinned": True,
    "gate_plan": "Plan(...)",
    "gate_ratios": [1.01, 1.0, 0.99, 1.0, 1.005, 0.995, 1.0, 1.0],
    "gate_family_count": 6,
}


def run(**changed):
    """A saved run's JSON; named benchmarks are replaced, or left out if None."""
    infos = {ACCURACY: accuracy(), FOOTPRINT: FOOTPRINT_INFO, LATENCY: LATENCY_INFO, GATE: GATE_INFO}
    names = {"accuracy": ACCURACY, "footprint": FOOTPRINT, "latency": LATENCY, "gate": GATE}
    for name, info in changed.items():
        infos[names[name]] = info
    return copy.deepcopy(
        {
            "machine_info": {"fingerprint": fingerprint()},
            "commit_info": {"id": "0" * 40},
            "crnn": {"quick": False, "failed": [], "left_out": 0, "interrupted": False},
            "benchmarks": [
                {"fullname": name, "name": name, "extra_info": info, "stats": {"median": 0.01, "data": [0.01]}}
                for name, info in infos.items()
                if info is not None
            ],
        }
    )


def write(path, content):
    """Save it."""
    path.write_text(json.dumps(content), "utf-8")
    return path
