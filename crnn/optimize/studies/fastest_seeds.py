"""The fastest recognizer, trained with three seeds: CER on the test split, on its parts, and on new lines.

python -m crnn build fastest-torch --force --seed N                  # in the clones FOLDER/N: 1, 2, 3
python -m crnn.optimize.studies run fastest_seeds --models FOLDER    # here, 10 minutes
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from crnn.artifacts import SHIPPED, sha256_of
from crnn.corpus import open_corpus
from crnn.corpus.lines import Corpus, Lines
from crnn.corpus.synthetic import draw_split, unseen_typeface
from crnn.measure.accuracy import Evaluation, paired_difference
from crnn.measure.workload import Workload, evaluated
from crnn.optimize.studies._fastest import ORIGINAL, quantized
from crnn.optimize.studies.common import percent, rows_of, with_interval
from crnn.report.documents import markdown

_ARTIFACT, _SEEDS = SHIPPED / "fastest-torch.pt", (1, 2, 3)
# Lines like those of the test split, drawn from a seed that nothing else uses.
_NEW_LINES, _NEW_SEED = 8_000, 8_000_000
_PARTS = ("test split", "labels never seen", "typeface never seen", f"{_NEW_LINES:,} new lines")


def _parts(lines: Lines) -> Sequence[np.ndarray]:
    """The test split whole, its labels that no training used, its typeface that none used; bool (N,)."""
    return (np.ones(len(lines), bool), ~lines.seen, unseen_typeface(lines))


def _difference(run: Evaluation, original: Evaluation, lines: np.ndarray) -> list[float]:
    """CER minus the original's on some of the lines, and its 95 % interval, as fractions."""
    change, interval = paired_difference(run.edits[lines], original.edits[lines], run.characters[lines], 0.025)
    return [change, *interval]


def run(models: Path) -> list[dict[str, Any]]:
    """One row per seed, in int8 on OpenVINO: CER, and its differences to the original's."""
    corpus = open_corpus(None)
    drawn = draw_split("test", _NEW_LINES, seed=_NEW_SEED)
    new_lines = Corpus(corpus.name, corpus.alphabet, corpus.sha256, drawn, lambda: (corpus.train, corpus.validation))
    both, rows = (corpus, new_lines), []

    def evaluations(workload: Workload) -> list[Evaluation]:
        found = []
        for lines in both:
            with evaluated(workload, lines) as read:
                found.append(read.evaluation)
        return found

    original = evaluations(Workload("torch-original", "torch", str(ORIGINAL)))
    for seed in _SEEDS:
        trained = models / str(seed) / _ARTIFACT.relative_to(SHIPPED.parents[1])
        found = evaluations(Workload(f"seed {seed}", "openvino", str(quantized(trained, corpus))))
        differences = [_difference(found[0], original[0], part) for part in _parts(corpus.test)]
        differences.append(_difference(found[1], original[1], np.ones(_NEW_LINES, bool)))
        rows.append({"seed": seed, "sha256": sha256_of(trained), "cer": found[0].cer, "cer_differences": differences})
        tqdm.write(json.dumps(rows[-1]))
    return rows


def table() -> str:
    """CER and its differences to the original's by seed."""
    shipped = sha256_of(_ARTIFACT)
    rows = [
        (
            f"{row['seed']}{', shipped' if row['sha256'] == shipped else ''}",
            percent(row["cer"]),
            *(with_interval(part, "+.2f", 100) for part in row["cer_differences"]),
        )
        for row in rows_of("fastest_seeds")
    ]
    return markdown(("seed", "CER", *_PARTS), rows)
