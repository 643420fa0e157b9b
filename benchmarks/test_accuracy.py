"""CER and CTC loss of the whole test split, each with its interval, against the variant's threshold."""

import numpy as np
import pytest

from crnn.measure.accuracy import cer_difference, loss_difference
from crnn.measure.packing import pack
from fixtures.clock import advance, worker_clock
from fixtures.measurements import identity


def _interval(name, unit, value, interval):
    """A value and its interval as entries of the JSON."""
    return {f"{name}_{unit}": value, f"{name}_low_{unit}": interval[0], f"{name}_high_{unit}": interval[1]}


@pytest.mark.benchmark(timer=worker_clock, group="accuracy (seconds to judge the test split)")
def test_accuracy(benchmark, bench, runner, corpus):
    """The variant reads the test split as well as its row in the registry says."""
    from crnn.corpus.synthetic import NAME, unseen_typeface

    judged = runner.judgement
    benchmark.pedantic(lambda: advance(sum(runner.judge_seconds)), rounds=1, warmup_rounds=0)

    benchmark.extra_info |= identity(runner, corpus) | {
        **_interval("cer", "fraction", judged.cer, judged.cer_interval()),
        "ctc_loss_nats_per_line": judged.loss,
        "exact_lines_fraction": judged.exact_lines,
        "edits_count": int(judged.edits.sum()),
        "characters_count": int(judged.characters.sum()),
        "cer_unseen_labels_fraction": judged.cer_of(~corpus.test.seen),
        "unseen_labels_count": int(np.sum(~corpus.test.seen)),
        # What a later run is compared with, line by line.
        "line_edits": pack(judged.edits.astype(np.uint16)),
        "line_characters": pack(judged.characters.astype(np.uint16)),
        "line_losses_nats": pack(judged.losses.astype(np.float32)),
    }
    if corpus.name == NAME:
        unseen = unseen_typeface(corpus.test)
        benchmark.extra_info["cer_unseen_typeface_fraction"] = judged.cer_of(unseen)
        benchmark.extra_info["unseen_typeface_lines_count"] = int(unseen.sum())
    original, alone = bench.original(runner.variant)
    change = 0.0
    if original:
        reference = original.judgement
        change, interval = cer_difference(judged, reference)
        benchmark.extra_info |= {
            **_interval("cer_difference_to_original", "fraction", change, interval),
            **_interval("ctc_loss_difference_to_original", "nats_per_line", *loss_difference(judged, reference)),
            "log_prob_difference_to_parent_nats": runner.parent_difference,
        }
    else:
        benchmark.extra_info["measured_alone_because"] = alone

    assert np.isfinite(judged.loss), "a label has no path through the time steps"
    # Another corpus has its own difficulty; there the paired difference to the original tells.
    if corpus.name == NAME:
        assert judged.cer <= runner.variant.thresholds.max_cer
        assert change <= runner.variant.thresholds.max_cer_difference
