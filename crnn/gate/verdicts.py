"""The verdict on one measurement, and the exit status of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

from crnn.gate.sequential import SAME

INCONCLUSIVE, MISSING, NEW, NOT_COMPARABLE = "inconclusive", "missing", "new", "not comparable"
LOOSENED = "loosened"
UNLIKE_MACHINES = "measured on unlike machines"
_BAD = ("slower", "worse", "larger", LOOSENED)
_GOOD = (SAME, "faster", "better", "smaller", NEW)
REGRESSED_STATUS, INCONCLUSIVE_STATUS, INCOMPARABLE_STATUS = 10, 11, 12


@dataclass(frozen=True)
class Verdict:
    """The verdict on one measurement.

    Attributes:
        test: full name of the benchmark.
        measure: name of the measurement; ``all`` for the whole benchmark.
        word: ``same``, ``slower`` and so on.
        before: the baseline's value, as text.
        after: the run's value, as text.
        unit: of both.
        change: with its interval, as text.
        limit: as text.
        reason: why, if the numbers alone do not tell.
        baseline: the name of what the run is compared with.
    """

    test: str
    measure: str
    word: str
    before: str = ""
    after: str = ""
    unit: str = ""
    change: str = ""
    limit: str = ""
    reason: str = ""
    baseline: str = "baseline"

    @property
    def status(self) -> int:
        """The exit status of this verdict; 0 if it passes."""
        if self.word in _BAD:
            return REGRESSED_STATUS
        if self.word in _GOOD:
            return 0
        return INCONCLUSIVE_STATUS if self.word == INCONCLUSIVE else INCOMPARABLE_STATUS

    @property
    def subject(self) -> str:
        """What it is about, such as ``ov-int8.max_bytes``: by this name a loosened threshold is accepted."""
        return f"{self.test}.{self.measure}"

    @property
    def details(self) -> str:
        """Change, limit and reason as text."""
        limit = self.limit and f"limit {self.limit}"
        return "; ".join(filter(None, (", ".join(filter(None, (self.change, limit))), self.reason)))

    def __str__(self) -> str:
        if self.word in (MISSING, NEW):
            return f"{self.test}: {self.word} (against {self.baseline})" + (f": {self.reason}" if self.reason else "")
        regressed = self.status == REGRESSED_STATUS and self.word != LOOSENED
        said = f"{self.measure} {'regressed' if regressed else self.word}"
        values = f", {self.before} -> {self.after}{self.unit}" if self.before or self.after else ""
        details = f" ({self.details})" if self.details else ""
        return f"{self.test}: {said}{values}{details}, against {self.baseline}"


def status(verdicts: Sequence[Verdict]) -> int:
    """The exit status of all: a regression outranks a failed comparison, which outranks an inconclusive one."""
    found = {verdict.status for verdict in verdicts}
    return next((code for code in (REGRESSED_STATUS, INCOMPARABLE_STATUS, INCONCLUSIVE_STATUS) if code in found), 0)
