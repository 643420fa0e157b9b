"""Measure each variant's process pairs alone in a session, for comparison with those of whole runs.

pytest benchmarks --benchmark-json=suite.json
pytest benchmarks --benchmark-compare=suite.json --benchmark-json=compared.json
python -m benchmarks.evidence.alone suite.json compared.json benchmarks/evidence/alone.json
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from crnn.gate.runs import read

_ROOT = Path(__file__).parents[2]


def _pairs(path: Path) -> dict[str, dict[str, Any]]:
    """The records of the process pairs of a saved run, by variant."""
    return {info["variant"]: info for info in read(path).benchmarks.values() if "gate_ratios" in info}


def main() -> None:
    """Write the ratios alone and in the suite, and the seconds that the gate took in the compared run."""
    suite, compared = _pairs(Path(sys.argv[1])), _pairs(Path(sys.argv[2]))
    measured = {}
    for name, info in suite.items():
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder) / "alone.json"
            command = ["pytest", "-q", "benchmarks/test_gate.py", f"--variants={name}", f"--benchmark-json={results}"]
            subprocess.run([sys.executable, "-m", *command], cwd=_ROOT, stdout=sys.stderr, check=True)
            alone = _pairs(results)[name]
        measured[name] = {
            "alone": [round(ratio, 5) for ratio in alone["gate_ratios"]],
            "suite": [round(ratio, 5) for ratio in info["gate_ratios"]],
            "gate_s": round(compared[name]["gate_pairs_s"], 1),
            "gate_verdicts": compared[name]["gate_verdicts"],
        }
    Path(sys.argv[3]).write_text(json.dumps(measured, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
