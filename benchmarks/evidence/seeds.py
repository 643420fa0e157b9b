"""Train one recipe with several seeds, and keep the edits of each line: models that differ, and should compare as same.

    python -m benchmarks.evidence.seeds --models FOLDER benchmarks/evidence/seeds.json

They read the test split, and the 8,000 lines of ``--judge full``.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from crnn.artifacts import SHIPPED, cache_folder, sha256_of
from crnn.corpus import open_corpus
from crnn.corpus.larger import larger_test_split
from crnn.corpus.lines import Corpus
from crnn.measure.packing import pack
from crnn.measure.workload import Workload, evaluated
from crnn.optimize.clustering import cluster
from crnn.optimize.recipe import Build

_PARENT, _CLUSTERS, _SEEDS = SHIPPED / "torch-original.pt", 64, range(11, 14)
_EPOCHS = 1  # of three: enough for models that make other errors


def main() -> None:
    """Train what is not there yet, read both splits with each model, and write the edits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT.json")
    parser.add_argument("--models", type=Path, required=True, help="folder for the models")
    given = parser.parse_args()
    given.models.mkdir(parents=True, exist_ok=True)
    corpus = open_corpus(None)
    further = larger_test_split(cache_folder())
    larger = Corpus(corpus.name, corpus.alphabet, corpus.sha256, further, lambda: (corpus.train, corpus.validation))
    recipe = f"{cluster.__module__}.{cluster.__name__}"
    content: dict[str, object] = {"recipe": recipe, "clusters": _CLUSTERS, "epochs": _EPOCHS}
    models = []
    for seed in _SEEDS:
        target = given.models / f"clustered-{seed}.pt"
        if not target.exists():
            build = Build(target.stem, _PARENT, target, corpus, target.with_suffix(".checkpoint"))
            cluster(build, clusters=_CLUSTERS, seed=seed, epochs=_EPOCHS)
        entry = {"seed": seed, "sha256": sha256_of(target)}
        for name, lines in (("test", corpus), ("larger", larger)):
            with evaluated(Workload(target.stem, "torch", str(target), alphabet=corpus.alphabet), lines) as run:
                entry[f"{name}_edits"] = pack(run.evaluation.edits.astype(np.uint16))
                content[f"{name}_characters"] = pack(run.evaluation.characters.astype(np.uint16))
        models.append(entry)
        given.out.write_text(json.dumps(content | {"models": models}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
