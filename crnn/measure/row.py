"""A row while it is measured, and once it is."""

from dataclasses import dataclass, field
from pathlib import Path

from crnn.formats.counts import Counts
from crnn.measure.accuracy import Evaluation
from crnn.measure.replicate import Phases, Replicate
from crnn.measure.workload import Reading
from crnn.registry.variant import Variant


@dataclass
class Begun:
    """A variant of which some processes have been measured.

    Attributes:
        variant: the row.
        artifact: the file.
        phases: seconds that the row cost so far.
        replicates: one per process so far.
    """

    variant: Variant
    artifact: Path
    phases: Phases = field(default_factory=Phases)
    replicates: list[Replicate] = field(default_factory=list)


@dataclass
class Runner:
    """A variant whose processes have all been measured, and have read the lines.

    Attributes:
        variant: the row.
        artifact: the file.
        reading: its evaluation.
        counted: parameters, MACs and deflated weights.
        replicates: one per process.
        phases: seconds that the row cost.
        parent_difference: largest difference to the parent in log probability; None if the
            technique promises no agreement.
        larger: of its outputs for the larger test split; None if it did not read that.
    """

    variant: Variant
    artifact: Path
    reading: Reading
    counted: Counts
    replicates: list[Replicate]
    phases: Phases
    parent_difference: float | None = None
    larger: Evaluation | None = None

    @property
    def evaluation(self) -> Evaluation:
        """Of its outputs."""
        return self.reading.evaluation
