"""Shipped artifacts against the same rows made again from scratch, with another seed, in other checkouts.

python -m crnn build NAME --force --seed 2                 # in a clone
python benchmarks/evidence/rebuilds.py CLONE [CLONE ...]   # here
"""

import json
import sys
from pathlib import Path

from crnn.artifacts import SHIPPED, record_path, verified_record
from crnn.corpus import open_corpus
from crnn.measure.accuracy import Judgement, cer_difference, judge
from crnn.registry import VARIANTS
from crnn.registry.variant import Variant
from crnn.runtimes.process import WorkerProcess

_RESULTS = Path(__file__).with_suffix(".json")


def _judged(variant: Variant, artifact: Path) -> Judgement:
    corpus = open_corpus(None)
    with WorkerProcess(variant.name) as worker:
        worker.ask("load", variant.runtime, str(artifact), "cpu", dict(variant.runtime_options))
        worker.ask("keep", corpus.test.images, corpus.test.kinds)
        return judge(worker.ask("judge", 128)[0], corpus.test, corpus.alphabet)


def main(clones: list[str]) -> None:
    """Judge each pair on the same lines; rows that no clone has made again keep their entry."""
    rows = {row["variant"]: row for row in json.loads(_RESULTS.read_text("utf-8"))} if _RESULTS.exists() else {}
    for variant in VARIANTS:
        shipped = SHIPPED / f"{variant.name}{variant.suffix}"
        for clone in map(Path, clones) if variant.trained and variant.parent else ():
            again = clone / SHIPPED.relative_to(SHIPPED.parents[1]) / shipped.name
            if not record_path(again).exists():
                continue
            records = verified_record(shipped), verified_record(again)
            if records[0]["sha256"] == records[1]["sha256"] or records[1]["schedule"]["seed"] == 1:
                continue
            before, after = _judged(variant, shipped), _judged(variant, again)
            change, interval = cer_difference(after, before)
            rows[variant.name] = {
                "variant": variant.name,
                "shipped_sha256": records[0]["sha256"],
                "seeds": [record["schedule"]["seed"] for record in records],
                "cer": [before.cer, after.cer],
                "cer_difference": [change, *interval],
            }
            print(json.dumps(rows[variant.name]), flush=True)  # noqa: T201 progress
    _RESULTS.write_text(json.dumps(list(rows.values()), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
