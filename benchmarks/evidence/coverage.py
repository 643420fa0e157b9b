"""Keep of a full run what its speed-ups are made of, to learn whether a later run confirms them.

    pytest benchmarks --benchmark-json=run.json
    python benchmarks/evidence/coverage.py run.json benchmarks/evidence/runs/1.json

Repeat at another hour, on the same machine. ``crnn/tests/test_coverage.py`` compares the runs.
"""

import argparse
import json
from pathlib import Path

from crnn.gate.runs import read
from crnn.measure.records import Latency, measured


def main() -> None:
    """Write ratios to the anchor, medians and disturbances of each latency, with machine, time and order."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN.json")
    parser.add_argument("out", type=Path, metavar="OUT.json")
    arguments = parser.parse_args()
    run = read(arguments.run)
    latencies = []
    for info in run.benchmarks.values():
        entry = measured(info)
        if entry is None or entry.identity is None or not isinstance(entry.record, Latency):
            continue
        record = entry.record
        latencies.append(
            {
                "variant": entry.identity.variant,
                "batch_size": record.batch_size_lines,
                "anchor_ratios": [round(ratio, 5) for ratio in record.anchor_ratios],
                "process_medians_s": [round(seconds, 6) for seconds in record.process_medians_s],
                "disturbed": record.disturbed_pairs_count,
                "remeasured": record.remeasured_pairs_count,
            }
        )
    content = {
        "started": run.content["datetime"],
        "commit": run.content["commit_info"]["id"],
        "fingerprint": run.fingerprint,
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
        "order_seed": run.session["order_seed"],
        "latencies": sorted(latencies, key=lambda entry: (entry["variant"], entry["batch_size"])),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
