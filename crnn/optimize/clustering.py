"""Weight clustering: each tensor keeps a few values, which are tuned (Han et al., 2016, arXiv:1510.00149)."""

import zlib
from typing import Any

from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import schedule_for, tuned
from crnn.training.loop import Schedule

_TUNING = Schedule(epochs=3, peak_learning_rate=2e-4, warmup_share=0.1)


def cluster(build: Build) -> dict[str, Any]:
    """Cluster each filter bank and matrix into ``clusters`` values and tune those.

    The artifact holds codebooks and packed indices. The record says what the same
    weights take as plain floats, raw and deflated.

    Raises:
        RecipeError: a tensor has fewer weights than clusters, or the parent reads
            another alphabet.
    """
    clusters = build.options.get("clusters", 16)
    parent = build.teacher

    from crnn.models import torch_crnn
    from crnn.training.torch_clusterer import TorchClusterer

    schedule, model = schedule_for(build, _TUNING), torch_crnn.load(parent)
    try:
        learner = TorchClusterer(model, schedule, clusters)
    except ValueError as error:
        raise RecipeError(str(error)) from None
    notes = tuned(build, learner, schedule, torch_crnn.save_clustered, settings={"clusters": clusters})

    dense = build.target.with_suffix(".dense")
    torch_crnn.save(learner.model, dense)
    content = dense.read_bytes()
    dense.unlink()
    sizes = {"dense_bytes": len(content), "dense_compressed_bytes": len(zlib.compress(content, 9))}
    return notes | sizes | {"config": learner.model.config.to_json()}
