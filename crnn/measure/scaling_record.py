"""The record of a batch scaling: seconds per call over dense batch sizes."""

from dataclasses import dataclass, field

from crnn.measure.record import Record


@dataclass(frozen=True, kw_only=True)
class Scaling(Record):
    """Seconds per call at many batch sizes, from fresh processes, each block of calls beside one of the anchor.

    Attributes:
        scaling_sizes: lines per call, ascending; k of them.
        scaling_ratios: seconds per call / seconds of the anchor's call in the blocks beside it; one list of k values
            per process.
        scaling_anchor_s: median seconds of the anchor's call, one line, in each process.
        scaling_first_calls_s: seconds of the first call at each size, in the first process, in ascending order.
        scaling_peak_memory_bytes: peak resident memory after the first call at each size, likewise.
        scaling_resident_after_load_bytes: resident memory before the first call, in the first process.
        scaling_anchor: the anchor's engine; ratios to different anchors do not compare.
        scaling_anchor_sha256: of that engine's file.
        scaling_disturbed_count: sizes of processes at which all blocks were measured at a slow pace of the machine.
        scaling_left_out: why the larger sizes that were asked for are missing; None if none is.
        scaling_outputs_log_prob_difference_nats: largest difference between the outputs of timed calls and the
            evaluated ones.
        scaling_lines_read_differently_count: lines whose decoded text differs between the two.
        scaling_s: seconds that all of it took.
    """

    scaling_sizes: list[int]
    scaling_ratios: list[list[float]]
    scaling_anchor_s: list[float]
    scaling_first_calls_s: list[float]
    scaling_peak_memory_bytes: list[int]
    scaling_resident_after_load_bytes: int
    scaling_anchor: str
    scaling_anchor_sha256: str
    scaling_disturbed_count: int = 0
    scaling_left_out: str | None = None
    scaling_outputs_log_prob_difference_nats: float = 0.0
    scaling_lines_read_differently_count: int = 0
    scaling_s: float = field(default=0.0, compare=False)
