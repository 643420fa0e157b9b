"""What a study of batch sizes leaves in ``measured.json``: rows measured in one or several runs on one machine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crnn.measure.fingerprint import differing
from crnn.measure.records import Identity
from crnn.measure.scaling_record import Scaling
from crnn.scaling.times import ScalingError, Times, read

MEASURED = Path(__file__).with_name("measured.json")


def _records(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """This study's benchmarks of a run, without pytest-benchmark's own statistics."""
    return [
        {"fullname": entry["fullname"], "extra_info": entry["extra_info"]}
        for entry in run["benchmarks"]
        if Scaling.marker() in entry["extra_info"] and Identity.marker() in entry["extra_info"]
    ]


def keep(path: Path) -> None:
    """Keep the records of a run; rows that were kept before are replaced, others stay.

    Args:
        path: pytest-benchmark's JSON.

    Raises:
        ScalingError: it is no run of this study, or another machine's than the rows that were kept.
    """
    run = json.loads(path.read_text("utf-8"))
    read(run["benchmarks"])
    new = {
        "commit": run["commit_info"]["id"],
        "fingerprint": run["machine_info"]["fingerprint"],
        "datetime": run["datetime"],
        "benchmarks": _records(run),
    }
    replaced = {entry["fullname"] for entry in new["benchmarks"]}
    sittings = []
    for sitting in json.loads(MEASURED.read_text("utf-8")) if MEASURED.exists() else []:
        if differences := differing(sitting["fingerprint"], new["fingerprint"]):
            raise ScalingError(
                f"{path}: measured elsewhere than the rows in {MEASURED.name}: {', '.join(differences)}; "
                "delete that file to start a study of this machine"
            )
        sitting["benchmarks"] = [entry for entry in sitting["benchmarks"] if entry["fullname"] not in replaced]
        sittings += [sitting] if sitting["benchmarks"] else []
    MEASURED.write_text(json.dumps([*sittings, new], separators=(",", ":")) + "\n", "utf-8")


def kept() -> list[Times]:
    """The times of all rows that were kept."""
    sittings = json.loads(MEASURED.read_text("utf-8"))
    return read(entry for sitting in sittings for entry in sitting["benchmarks"])
