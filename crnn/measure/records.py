"""Records of measurements: one dataclass per measurement."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from crnn.measure import pair_records, scaling_record, way_record  # noqa: F401 their records count as kinds
from crnn.measure.record import Record


@dataclass(frozen=True, kw_only=True)
class Identity(Record):
    """The variant, its technique, engine, artifact and corpus; saved with every measurement of a variant.

    Attributes:
        runtime: engine and version.
        threads_count: number of threads that computed while the test split was read; None if the
            system does not tell.
        instruction_sets: of the processor, such as ``AVX2, AVX-512``; empty if the system does not tell.
        lines_count: number of evaluated lines, the first of the test split.
    """

    variant: str
    technique: str
    runtime: str
    device: str
    threads_count: int | None = None
    original: str
    artifact_sha256: str
    corpus: str
    corpus_sha256: str
    lines_count: int
    instruction_sets: str = ""


@dataclass(frozen=True, kw_only=True)
class Accuracy(Record):
    """CER and CTC loss over the test split, and the errors of each line; also of the larger one, if it was read.

    Attributes:
        ctc_loss_nats_per_line: None for a recognizer that returns texts; so are ``line_losses_nats``.
        worst_lines: position, label, text and edits of the lines with the most edits.
        confusions: character, what was read for it, count; the most frequent first. See ``misreadings.py``.
    """

    cer_fraction: float
    cer_low_fraction: float
    cer_high_fraction: float
    exact_lines_fraction: float
    edits_count: int
    characters_count: int
    unseen_labels_count: int
    line_edits: np.ndarray = field(metadata={"dtype": np.uint16}, compare=False)
    line_characters: np.ndarray = field(metadata={"dtype": np.uint16}, compare=False)
    line_losses_nats: np.ndarray | None = field(default=None, metadata={"dtype": np.float32}, compare=False)
    ctc_loss_nats_per_line: float | None = None
    larger_line_edits: np.ndarray | None = field(default=None, metadata={"dtype": np.uint16}, compare=False)
    larger_line_characters: np.ndarray | None = field(default=None, metadata={"dtype": np.uint16}, compare=False)
    cer_unseen_labels_fraction: float | None = None
    cer_unseen_typeface_fraction: float | None = None
    unseen_typeface_lines_count: int | None = None
    cer_difference_to_original_fraction: float | None = None
    cer_difference_to_original_low_fraction: float | None = None
    cer_difference_to_original_high_fraction: float | None = None
    ctc_loss_difference_to_original_nats_per_line: float | None = None
    ctc_loss_difference_to_original_low_nats_per_line: float | None = None
    ctc_loss_difference_to_original_high_nats_per_line: float | None = None
    log_prob_difference_to_parent_nats: float | None = None
    measured_alone_because: str | None = None
    worst_lines: list[dict[str, Any]] = field(default_factory=list, compare=False)
    confusions: list[Any] = field(default_factory=list, compare=False)


@dataclass(frozen=True, kw_only=True)
class Footprint(Record):
    """Parameters, MACs, bytes, memory, load time.

    Attributes:
        file_bytes: the artifact as shipped.
        compressed_bytes: the artifact, deflated at level 9.
        deflated_weights_bytes: the stored weights alone, each array deflated: comparable between formats.
        resident_after_load_bytes: resident memory of the worker after it has loaded; median over processes.
        peak_memory_bytes: peak resident memory after calls at all batch sizes; median over processes.
        largest_batch_size_lines: the largest of these sizes.
        processes_count: number of processes behind the two.
        load_s: loading, imports included; median over processes. None if other work ran at the same time.
        load_with_build_s: loading in the process that built what the others read, such as a TensorRT engine.
        phases_s: seconds that the row cost, by phase.
    """

    parameters_stored_count: int
    parameters_nonzero_count: int
    multiply_adds_per_line_count: int
    file_bytes: int
    compressed_bytes: int
    deflated_weights_bytes: int
    file_format: str
    resident_after_load_bytes: int
    peak_memory_bytes: int
    largest_batch_size_lines: int
    processes_count: int
    load_s: float | None = None
    load_with_build_s: float | None = None
    phases_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Latency(Record):
    """Seconds per batch at deployment settings, from fresh processes that alternate with the anchor.

    Attributes:
        latency_median_s: median over processes of the median call, with its interval over processes.
        macs_per_s: MACs per second that this means.
        peak_share_fraction: their share of what the best matrix product of the row's precision reaches on the same
            cores in the same run, see ``crnn/measure/roofline.py``; None if that was not measured.
        first_call_s: first call at this size in the first process, with an empty compile cache. None if other
            work ran at the same time, or the cache is kept from earlier runs.
        latency_anchor: the anchor's engine; ratios to different anchors do not compare.
        anchor_ratios: seconds of the variant / seconds of the anchor, one per process.
        process_medians_s: the median call of each process.
        peak_memory_bytes: peak resident memory after calls at this and smaller sizes; median over processes.
        remeasured_pairs_count: pairs of blocks that were discarded and measured again because something disturbed them.
        disturbed_pairs_count: pairs that were kept although something disturbed them.
        disturbances: what disturbed the kept pairs, see ``crnn/measure/watch.py``.
        timed_lines_compared_count: number of lines that the calls read, whose outputs were compared.
    """

    batch_size_lines: int
    latency_median_s: float
    latency_median_low_s: float | None = None
    latency_median_high_s: float | None = None
    latency_p95_s: float | None = None
    latency_p99_s: float | None = None
    throughput_lines_per_s: float
    macs_per_s: float | None = None
    peak_share_fraction: float | None = None
    first_call_s: float | None = None
    warmup_calls_count: int
    timed_calls_count: int
    calls_per_block_count: int
    latency_anchor: str
    latency_anchor_sha256: str
    anchor_ratios: list[float]
    process_medians_s: list[float]
    peak_memory_bytes: int
    remeasured_pairs_count: int = 0
    disturbed_pairs_count: int = 0
    disturbances: list[str] = field(default_factory=list)
    timed_answers_log_prob_difference_nats: float
    timed_lines_read_differently_count: int | None = None
    timed_lines_compared_count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Throughput(Record):
    """Workers with one thread each that read at the same time, compared with one worker with as many threads.

    Attributes:
        together_s_per_line: seconds per line of all workers together.
        together_lines_per_s: its inverse.
        alone_lines_per_s: of the one worker.
        together_gain_ratio: the first throughput / the second, in alternating windows, with its interval over sets
            of fresh processes.
        together_gains: this ratio in each set.
    """

    together_s_per_line: float
    together_batch_size_lines: int
    together_workers_count: int
    together_lines_per_s: float
    alone_lines_per_s: float
    together_gain_ratio: float
    together_gain_low_ratio: float | None = None
    together_gain_high_ratio: float | None = None
    together_gains: list[float]
    together_answers_log_prob_difference_nats: float
    together_lines_read_differently_count: int


@dataclass(frozen=True, kw_only=True)
class Operators(Record):
    """The operators of one batch, as the engine's profiler timed them.

    Attributes:
        operators_s: seconds of all operators; a profiled batch takes a little longer than another.
        matrix_operators: convolutions, matrix products and LSTMs, such as ``5 Convolution int8, 2 LSTMSequence fp32``.
        float_matrix_operators_count: how many of these compute in float32.
        operators: kind, precision, count and seconds of all operators; the slowest kind first.
    """

    operators_s: float
    operators_batch_size_lines: int
    matrix_operators: str
    float_matrix_operators_count: int
    operators: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class HarnessOverhead(Record):
    """Seconds per call of an engine that does nothing."""

    harness_overhead_median_s: float
    timed_calls_count: int


@dataclass(frozen=True, kw_only=True)
class Collecting(Record):
    """Seconds to collect the benchmarks, for the whole process."""

    collecting_min_s: float


class Measured(NamedTuple):
    """A benchmark of a saved run: its variant's identity, None for the harness itself, and its record."""

    identity: Identity | None
    record: Record


def kind_of(info: Mapping[str, Any]) -> type[Record] | None:
    """The kind of record that a benchmark's ``extra_info`` holds; None if it is none of this suite's."""
    kinds = (kind for kind in Record.__subclasses__() if kind is not Identity)
    return next((kind for kind in kinds if kind.marker() in info), None)


def measured(info: Mapping[str, Any]) -> Measured | None:
    """The measurement that a benchmark's ``extra_info`` holds; None if it is none of this suite's.

    Raises:
        RecordError: a key is missing, or an array cannot be read.
    """
    kind = kind_of(info)
    if kind is None:
        return None
    return Measured(Identity.from_json(info) if Identity.marker() in info else None, kind.from_json(info))
