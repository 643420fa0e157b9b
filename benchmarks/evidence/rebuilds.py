"""CER of the shipped artifacts beside those that were built again from scratch, paired over the test lines.

python -m crnn build NAME --force --seed 2    # for each trained row, in another clone
python benchmarks/evidence/rebuilds.py CLONE [CLONE ...]
"""

import json
import sys
from pathlib import Path
from typing import Any

from crnn import variants
from crnn.artifacts import SHIPPED, record_path, verified_record
from crnn.corpus import Corpus, open_corpus
from crnn.evaluate import Judgement, cer_difference, judge
from crnn.runtimes.process import WorkerProcess
from crnn.variants import Variant

_OUT = Path(__file__).with_suffix(".json")


def _judged(variant: Variant, artifact: Path, corpus: Corpus) -> Judgement:
    with WorkerProcess(variant.name) as worker:
        worker.ask("load", variant.runtime, str(artifact), "cpu", dict(variant.runtime_options))
        worker.ask("keep", corpus.test.images, corpus.test.kinds)
        return judge(worker.ask("judge", 128)[0], corpus.test, corpus.alphabet)


def main() -> None:
    """Judge both of each row that a clone has built anew."""
    corpus, rows = open_corpus(None), []
    for clone in map(Path, sys.argv[1:]):
        for variant in variants.VARIANTS:
            shipped = SHIPPED / f"{variant.name}{variant.suffix}"
            rebuilt = clone / "fixtures" / "artifacts" / shipped.name
            if not (variant.trained and rebuilt.exists() and record_path(rebuilt).exists()):
                continue
            one, other = verified_record(shipped), verified_record(rebuilt)
            if one["sha256"] == other["sha256"]:
                continue  # the clone has the shipped one
            ours, theirs = _judged(variant, shipped, corpus), _judged(variant, rebuilt, corpus)
            change, interval = cer_difference(theirs, ours)
            row: dict[str, Any] = {"variant": variant.name, "shipped_cer": ours.cer, "rebuilt_cer": theirs.cer}
            rows.append(row | {"difference": [change, *interval], "seeds": [one["seed"], other["seed"]]})
            print(json.dumps(rows[-1]), flush=True)  # noqa: T201 progress
    order = variants.names()
    rows.sort(key=lambda row: order.index(row["variant"]))
    _OUT.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
