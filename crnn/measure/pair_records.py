"""The records of process pairs: what the gate compares of latency and of loading."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from crnn.measure.record import Record


class _OfPairs:
    """What both records say of their anchor; the names of their fields differ by a prefix."""

    _PREFIX: ClassVar[str]
    _ANCHOR: ClassVar[str]

    @property
    def paired_with(self) -> str:
        """The engine of the anchor."""
        return getattr(self, self._ANCHOR)

    @property
    def anchor_s(self) -> float | None:
        """Seconds of the anchor's fastest call."""
        return getattr(self, f"{self._PREFIX}_anchor_s")

    def direct(self, commit: str) -> dict[str, list[float]] | None:
        """The ratios of pairs with a commit, by field, as far as they were needed; None if it was not at hand."""
        return getattr(self, f"{self._PREFIX}_direct_ratios").get(commit)

    @property
    def disturbed(self) -> int:
        """Number of pairs at a slow pace."""
        return getattr(self, f"{self._PREFIX}_disturbed_pairs_count")


@dataclass(frozen=True, kw_only=True)
class RelativeLatency(_OfPairs, Record):
    """Latency ratios to an anchor, one per pair of fresh processes, and the settings under which they compare.

    Attributes:
        gate_confirmation_ratios: of a second set of pairs.
        gate_direct_ratios: of pairs with commits of baselines, by commit and field; see ``direct``.
        gate_anchor_s: seconds of the anchor's fastest call in this run, see ``pace``.
        gate_disturbed_pairs_count: pairs that were measured at a slow pace.
        gate_pairs_s: seconds that all pairs took.
    """

    _PREFIX, _ANCHOR = "gate", "anchor"

    anchor: str
    anchor_sha256: str
    gate_batch_size_lines: int
    gate_threads_count: int
    gate_pinned: bool
    gate_plan: str
    gate_ratios: list[float]
    gate_confirmation_ratios: list[float] = field(default_factory=list)
    gate_direct_ratios: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    gate_anchor_s: float | None = None
    gate_disturbed_pairs_count: int = 0
    gate_pairs_s: float | None = None
    gate_answers_log_prob_difference_nats: float | None = None
    gate_lines_read_differently_count: int | None = None

    def confirmation(self, _: str) -> list[float]:
        """The ratios of the second set."""
        return self.gate_confirmation_ratios


@dataclass(frozen=True, kw_only=True)
class Deployment(_OfPairs, Record):
    """Ratios to an anchor at deployment settings, one per pair of fresh processes, and what they depend on.

    Attributes:
        deployed_ratios: of seconds per call with one line.
        deployed_largest_ratios: of seconds per call at the largest batch size.
        deployed_start_ratios: of loading and the first call with one line together.
        deployed_largest_first_call_ratios: of the first call at the largest batch size.
        deployed_load_ratios: of seconds to load, imports included.
        deployed_largest_batch_size_lines: the largest batch size.
        deployed_anchor: the anchor's engine, or that of the base.
        deployed_confirmation_ratios: of a second, independent set of pairs, by the name of the field.
        deployed_direct_ratios: of pairs with commits of baselines, by commit and field; see ``direct``.
        deployed_anchor_s: seconds of the anchor's fastest call with one line in this run, see ``pace``.
        deployed_disturbed_pairs_count: pairs that were measured at a slow pace.
        deployed_pairs_s: seconds that all pairs took.
    """

    _PREFIX, _ANCHOR = "deployed", "deployed_anchor"

    deployed_ratios: list[float]
    deployed_largest_ratios: list[float]
    deployed_start_ratios: list[float]
    deployed_largest_first_call_ratios: list[float]
    deployed_load_ratios: list[float]
    deployed_largest_batch_size_lines: int
    deployed_anchor: str
    deployed_anchor_sha256: str
    deployed_plan: str
    deployed_confirmation_ratios: dict[str, list[float]] = field(default_factory=dict)
    deployed_direct_ratios: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    deployed_anchor_s: float | None = None
    deployed_disturbed_pairs_count: int = 0
    deployed_pairs_s: float | None = None
    deployed_answers_log_prob_difference_nats: float | None = None
    deployed_lines_read_differently_count: int | None = None

    def confirmation(self, key: str) -> list[float]:
        """The ratios of the second set in the place of a field."""
        return self.deployed_confirmation_ratios.get(key, [])


Pairs = RelativeLatency | Deployment


def pooled(records: Sequence[Pairs]) -> Pairs:
    """One record of the pairs of several runs under the same settings.

    Raises:
        ValueError: the settings differ; the message names the field.
    """
    values: dict[str, Any] = {}
    for item in fields(records[0]):
        found = [getattr(record, item.name) for record in records]
        if "confirmation" in item.name or "direct" in item.name:
            continue  # they confirm a slowdown: only runs that are compared have them
        if item.name.endswith("_ratios"):
            values[item.name] = [ratio for run in found for ratio in run]
        elif item.name.endswith(("pairs_count", "pairs_s")):
            values[item.name] = sum(filter(None, found))
        elif item.name.endswith("anchor_s"):
            values[item.name] = min(filter(None, found), default=None)
        elif item.name.endswith(("difference_nats", "differently_count")):
            values[item.name] = max((one for one in found if one is not None), default=None)
        elif found.count(found[0]) < len(found):
            raise ValueError(f"{item.name} differs: {', '.join(map(str, dict.fromkeys(found)))}")
        else:
            values[item.name] = found[0]
    return type(records[0])(**values)
