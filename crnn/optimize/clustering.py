"""Weight clustering: each tensor keeps a few values, which are then tuned (Han et al., 2016, arXiv:1510.00149)."""

import zlib
from typing import Any, Unpack

from crnn.optimize.recipe import Build, RecipeError
from crnn.optimize.tuning import ScheduleOptions, schedule_for, tuned
from crnn.training.loop import Schedule

_TUNING = Schedule(epochs=3, peak_learning_rate=2e-4, warmup_share=0.1)


def cluster(build: Build, *, clusters: int = 16, **schedule_options: Unpack[ScheduleOptions]) -> dict[str, Any]:
    """Cluster each filter bank and matrix and tune the shared values.

    The artifact holds codebooks and packed indices. Its record also gives the size of the same
    weights as plain floats, raw and deflated.

    Args:
        build: the artifact to build.
        clusters: values per tensor.
        schedule_options: override the schedule.

    Raises:
        RecipeError: a tensor has fewer weights than clusters, or the parent has
            another alphabet.
    """
    parent = build.teacher

    from crnn.formats import pt_file
    from crnn.training.torch_clusterer import TorchClusterer

    schedule, model = schedule_for(build, _TUNING, **schedule_options), pt_file.load_crnn(parent)
    try:
        learner = TorchClusterer(model, schedule, clusters)
    except ValueError as error:
        raise RecipeError(str(error)) from None
    notes = tuned(build, learner, schedule, pt_file.save_clustered, settings={"clusters": clusters})

    dense = build.target.with_suffix(".dense")
    pt_file.save(learner.model, dense)
    content = dense.read_bytes()
    dense.unlink()
    sizes = {"dense_bytes": len(content), "dense_compressed_bytes": len(zlib.compress(content, 9))}
    return notes | sizes | {"config": learner.model.config.to_json()}
