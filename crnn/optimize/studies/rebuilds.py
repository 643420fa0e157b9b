"""Shipped artifacts and the same rows trained again: from scratch, with another seed, in another checkout.

python -m crnn build NAME --force --seed 2                       # in a clone
python -m crnn.optimize.studies run rebuilds --models CLONE      # here, 5 minutes
"""

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crnn.artifacts import SHIPPED, record_path, verified_record
from crnn.corpus import open_corpus
from crnn.measure.accuracy import Evaluation
from crnn.measure.workload import Workload, evaluated
from crnn.optimize.studies.common import HERE, measured_difference, percent, rows_of, with_interval
from crnn.registry import VARIANTS
from crnn.registry.variant import Variant
from crnn.report.documents import markdown


def _evaluation(variant: Variant, artifact: Path) -> Evaluation:
    corpus = open_corpus(None)
    with evaluated(Workload.of(variant, artifact, corpus), corpus) as run:
        return run.evaluation


def run(clone: Path) -> list[dict[str, Any]]:
    """One entry per trained row with a parent; rows that the clone has not trained again keep their old entry."""
    known = rows_of("rebuilds") if (HERE / "rebuilds.json").exists() else []
    rows = {row["variant"]: row for row in known}
    for variant in VARIANTS:
        shipped = SHIPPED / f"{variant.name}{variant.suffix}"
        again = clone / SHIPPED.relative_to(SHIPPED.parents[1]) / shipped.name
        if not (variant.trained and variant.parent and record_path(again).exists()):
            continue
        records = verified_record(shipped), verified_record(again)
        if records[0]["sha256"] == records[1]["sha256"] or records[1]["schedule"]["seed"] == 1:
            continue
        before, after = _evaluation(variant, shipped), _evaluation(variant, again)
        rows[variant.name] = {
            "variant": variant.name,
            "shipped_sha256": records[0]["sha256"],
            "seeds": [record["schedule"]["seed"] for record in records],
            "cer": [before.cer, after.cer],
            "cer_difference": measured_difference(after, before),
        }
        tqdm.write(json.dumps(rows[variant.name]))
    return list(rows.values())


def table() -> str:
    """CER as shipped and as trained again."""
    rows = [
        (row["variant"], *map(percent, row["cer"]), with_interval(row["cer_difference"], "+.2f", 100))
        for row in rows_of("rebuilds")
    ]
    return markdown(("row", "CER, as shipped", "CER, trained again", "difference, points"), rows)
