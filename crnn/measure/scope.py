"""How much a session measures."""

from dataclasses import dataclass

from crnn.measure.latency import FULL, Plan
from crnn.measure.workload import EVALUATED_BATCH_SIZE


@dataclass(frozen=True)
class Scope:
    """How much a session measures.

    Attributes:
        batch_sizes: lines per call, ascending.
        processes: fresh processes per row.
        lines: number of lines to evaluate, the first of the test split; None for all.
        evaluated_at: batch size of the calls that only evaluate.
        plan: of the timed calls; None: nothing is timed.
        prepares: whether a process compiles while another one works, with a compile cache that is kept: first
            calls are not measured then.
    """

    batch_sizes: tuple[int, ...]
    processes: int = 1
    lines: int | None = None
    evaluated_at: int = EVALUATED_BATCH_SIZE
    plan: Plan | None = FULL
    prepares: bool = False
