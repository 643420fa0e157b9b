"""The gate of one session: its baselines, and the verdicts so far."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from crnn.gate.against import Base
from crnn.gate.compare import comparable, compare
from crnn.gate.comparisons import reference
from crnn.gate.limits import Limit
from crnn.gate.measures import measure
from crnn.gate.runs import Run, limits_for, unlike_machines
from crnn.gate.selection import Outcomes
from crnn.gate.sequential import Reference
from crnn.gate.verdicts import MISSING, NEW, NOT_COMPARABLE, Verdict
from crnn.measure.fingerprint import fingerprint
from crnn.measure.records import Identity, Measured, RecordError, RelativeLatency, measured


class Gate:
    """The baselines of a session, and the verdicts so far. Without a baseline everything passes."""

    def __init__(
        self,
        limits: Mapping[str, Limit],
        baseline: Run | None = None,
        pinned: Run | None = None,
        base: Base | None = None,
    ) -> None:
        """Compare with saved runs or with a commit.

        Args:
            limits: override the defaults and the registry's.
            baseline: the rolling baseline.
            pinned: the pinned baseline, which shows creep.
            base: a commit to measure in this session instead.
        """
        # Artifacts may differ between commits: their effect is what is compared.
        self._limits = {"artifact": Limit(None), **limits} if base else dict(limits)
        self._baseline, self._pinned, self.base = baseline, pinned, base
        self.verdicts: list[Verdict] = []
        self.failed: set[str] = set()
        self.notes: list[str] = []
        self.searched = False
        self.family = 1
        if pinned and (unlike := unlike_machines(pinned.fingerprint, self._machine)):
            differences = ", ".join(unlike)
            self.notes.append(f"no comparison with the pinned baseline: {pinned.path.name} differs in {differences}")

    @cached_property
    def _machine(self) -> dict[str, Any]:
        return fingerprint()

    @property
    def on(self) -> bool:
        """Whether there is something to compare with."""
        return self._baseline is not None or self.base is not None

    @property
    def baselines_count(self) -> int:
        """Number of runs that each measurement is compared with."""
        return 2 if self._pinned else 1

    @property
    def title(self) -> str:
        """Title of the gate's report: names the baseline."""
        return f"gate: against {self.base.name if self.base else self._baseline and self._baseline.path}"

    def _runs(self) -> Iterator[tuple[str, Run]]:
        """The baselines, with their names in the verdicts."""
        if self.base and self._baseline is None:
            self._baseline = self.base.measured()
        if self._baseline:
            yield (self.base.name if self.base else "baseline"), self._baseline
        if self._pinned:
            yield "pinned baseline", self._pinned

    def _before(self, run: Run, test: str, info: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The baseline's side of a benchmark; empty ratios if they were measured directly against the base."""
        if self.base and "gate_ratios" in info:
            return {**info, "gate_ratios": []} if self.base.has(info["variant"]) else None
        return run.benchmarks.get(test)

    def _unlike(self, run: Run) -> list[str]:
        return [] if self.base else unlike_machines(run.fingerprint, self._machine)

    def references(self, test: str, identity: Identity, planned: RelativeLatency) -> list[Reference]:
        """The baselines that the process pairs of a test are compared with; empty if they cannot be compared.

        Args:
            test: its full name.
            identity: of the variant.
            planned: the settings of the pairs, without ratios.
        """
        found, relative = [], measure("relative_latency")
        info = identity.to_json() | planned.to_json()
        limit = limits_for(info, self._limits)[relative.name]
        for _, run in self._runs() if limit.number is not None else ():
            try:
                before = measured(self._before(run, test, info) or {})
            except RecordError:
                continue  # the verdict will name the fault
            if before is None or not isinstance(before.record, RelativeLatency):
                continue
            if not comparable(relative, before, Measured(identity, planned), self._unlike(run)):
                found.append(reference(before.record, limit))
        return found

    def evaluate(self, test: str, info: dict[str, Any]) -> list[Verdict]:
        """Compare a benchmark that passed its own assertions, and keep the verdicts.

        Args:
            test: its full name.
            info: its ``extra_info``; the verdicts are added to it.
        """
        found = []
        for name, run in self._runs():
            before = self._before(run, test, info)
            if before is None:
                if self.base and self.base.has(info.get("variant", "")):
                    continue  # The base measures only accuracy, footprint and process pairs.
                verdicts = [Verdict(test, "all", NEW, baseline=name)]
            else:
                limits = limits_for(info, self._limits)
                verdicts = compare(test, before, info, limits, unlike=self._unlike(run), baseline=name)
            if run is self._pinned:
                # The rolling baseline already reports these.
                verdicts = [verdict for verdict in verdicts if verdict.word not in (NEW, NOT_COMPARABLE)]
            found += verdicts
        info["gate_verdicts"] = {f"{v.measure}, {v.baseline}": v.word for v in found}
        self.verdicts += found
        return found

    def missing(self, outcomes: Outcomes) -> list[Verdict]:
        """Find what the baseline has and this run should have measured, and keep the verdicts."""
        found, left_out, self.searched = [], 0, True
        for name, run in self._runs():
            for test, info in run.benchmarks.items() if run is not self._pinned else ():
                if test in outcomes.passed | self.failed:
                    continue
                # On the machine of the baseline the row did run: there it is missing like any other.
                excused = info.get("variant") in outcomes.unsupported and self._unlike(run)
                if outcomes.holds(test, info) and not excused:
                    found.append(Verdict(test, "all", MISSING, reason=outcomes.why_missing(test), baseline=name))
                else:
                    left_out += 1
        if base := self.base:
            gone = Verdict("", "all", MISSING, reason="no longer in the registry", baseline=base.name)
            found += [replace(gone, test=f"variant {name}") for name in base.removed()]
        self.notes += [f"not run here: {name}: {reason}" for name, reason in outcomes.unsupported.items()]
        if left_out:
            self.notes.append(f"{left_out} benchmarks of the baseline were not selected")
        self.verdicts += found
        return found
