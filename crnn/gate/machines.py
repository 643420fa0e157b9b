"""How the machines of two runs differ, and what that means for a comparison."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crnn.gate.verdicts import NOT_COMPARABLE, UNLIKE_MACHINES, Verdict
from crnn.measure.fingerprint import differing

# Fields of a fingerprint that hold versions of software.
_VERSIONS = ("versions.", "python ", "suite ")


@dataclass(frozen=True)
class Machines:
    """How two machines differ.

    Attributes:
        unlike: differences that make times incomparable, such as ``cores (2, 4)``.
        versions: differences in versions that were accepted.
        versions_accepted: whether times are compared across versions.
    """

    unlike: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    versions_accepted: bool = False

    @classmethod
    def of(
        cls, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, *, accept_versions: bool = False
    ) -> "Machines":
        """Compare two fingerprints; a missing one differs from any."""
        if not before or not after:
            return cls(("fingerprint (none saved)",))
        found = differing(before, after)
        versions = tuple(field for field in found if accept_versions and field.startswith(_VERSIONS))
        return cls(tuple(field for field in found if field not in versions), versions, accept_versions)

    @property
    def note(self) -> str:
        """What was not compared, and what to do, in one line."""
        return (
            f"no times, memory or operators compared: the baseline's machine differs in {', '.join(self.unlike)}; "
            "to save one of this machine: pytest benchmarks --benchmark-save=baseline"
        )

    def verdict(self, baseline: str = "baseline") -> list[Verdict]:
        """The one verdict on all that depends on the machine; none if it was compared.

        Args:
            baseline: the baseline's name in the verdict.
        """
        if not self.unlike:
            return []
        reason = f"{UNLIKE_MACHINES}: {', '.join(self.unlike)}"
        return [Verdict("times, memory and operators", "all", NOT_COMPARABLE, reason=reason, baseline=baseline)]


SAME_MACHINE = Machines()
