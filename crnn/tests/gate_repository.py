"""A registry whose rows take a known time per call, for tests that run the gate as a user does."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
VARIANTS = """

VARIANTS = tuple(
    Variant(
        name,
        "none",
        "crnn.tests.steady_runtime:write_nothing",
        framework="none",
        runtime="crnn.tests.steady_runtime",
        suffix=".bin",
        thresholds=Thresholds(
            parameters=0, macs=0, max_bytes=100, max_peak_memory_bytes=10**9, max_cer=9.0, max_cer_difference=9.0
        ),
        runtime_options={"name": name},
        counted_by="crnn.tests.nothing_file",
    )
    for name in ("steady", "slowed")
)
"""
UNKNOWN = "0" * 40
RUNTIME, REGISTRY = "crnn/tests/steady_runtime.py", "crnn/registry/__init__.py"
GATE, DEPLOYED = "benchmarks/test_gate.py::test_process_pairs", "benchmarks/test_gate.py::test_deployment"


def commit(folder, message):
    """Commit all changes."""
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for arguments in (["add", "-A"], [*who, "commit", "-qm", message]):
        subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True)
