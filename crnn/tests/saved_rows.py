"""Rows of a saved run with known values, for the tests of the report."""

from dataclasses import replace

import numpy as np

from crnn.measure.records import Accuracy, Footprint, Identity, Latency

ACCURACY = Accuracy(
    cer_fraction=0.0073,
    cer_low_fraction=0.006,
    cer_high_fraction=0.0085,
    ctc_loss_nats_per_line=0.12,
    exact_lines_fraction=0.9,
    edits_count=3,
    characters_count=400,
    unseen_labels_count=0,
    line_edits=np.zeros(2, np.uint16),
    line_characters=np.ones(2, np.uint16),
    line_losses_nats=np.zeros(2, np.float32),
    cer_difference_to_original_fraction=0.0004,
    cer_difference_to_original_low_fraction=-0.0002,
    cer_difference_to_original_high_fraction=0.0011,
)
FOOTPRINT = Footprint(
    parameters_stored_count=1_492_398,
    parameters_nonzero_count=1_492_398,
    multiply_adds_per_line_count=233_753_600,
    file_bytes=6_144_000,
    compressed_bytes=5_000_000,
    deflated_weights_bytes=5_500_000,
    file_format=".pt",
    resident_after_load_bytes=250_000_000,
    peak_memory_bytes=812_000_000,
    largest_batch_size_lines=32,
    processes_count=3,
    load_s=1.25,
)
SMALL_BATCH = Latency(
    batch_size_lines=1,
    latency_median_s=0.001,
    latency_median_low_s=0.00096,
    latency_median_high_s=0.00105,
    throughput_lines_per_s=1000.0,
    first_call_s=0.5,
    warmup_calls_count=3,
    timed_calls_count=12,
    calls_per_block_count=1,
    latency_anchor="torch_anchor",
    latency_anchor_sha256="aa",
    anchor_ratios=[1.0, 1.01, 0.99],
    process_medians_s=[0.001, 0.00101, 0.00099],
    peak_memory_bytes=400_000_000,
    timed_answers_log_prob_difference_nats=0.0,
)
LARGE_BATCH = replace(
    SMALL_BATCH,
    batch_size_lines=32,
    latency_median_s=0.1,
    latency_median_low_s=0.09,
    latency_median_high_s=0.12,
    throughput_lines_per_s=320.0,
    first_call_s=0.7,
    peak_memory_bytes=812_000_000,
)
RECORDS = (SMALL_BATCH, LARGE_BATCH, ACCURACY, FOOTPRINT)


def times(latency, factor):
    """A latency whose ratios to the anchor are larger by a factor."""
    return replace(latency, anchor_ratios=[factor * ratio for ratio in latency.anchor_ratios])


def entries(variant, *records, original="torch-original", **identity):
    """The benchmarks that a variant's measurements leave in the JSON."""
    known = {
        "technique": "cut",
        "runtime": "Abacus 1.0",
        "device": "cpu",
        "threads_count": 2,
        "artifact_sha256": "a0",
        "corpus": "field",
        "corpus_sha256": "c0",
        "lines_count": 2000,
        "instruction_sets": "AVX2, AVX-512",
    }
    info = Identity(variant=variant, original=original, **(known | identity)).to_json()
    return [
        {"name": f"test[{variant}]", "fullname": f"test.py::test[{variant}]", "extra_info": info | record.to_json()}
        for record in records or RECORDS
    ]


def two_rows(factor=1.0, *, variant="mine"):
    """The reference, and a variant that takes ``factor`` times as long."""
    records = (times(SMALL_BATCH, factor), times(LARGE_BATCH, factor), ACCURACY, FOOTPRINT)
    return [*entries("torch-original"), *entries(variant, *records)]
