"""The gate of one session: its baselines, and the verdicts so far."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from crnn.gate.against import Base
from crnn.gate.commits import Checkout, Commits
from crnn.gate.compare import comparable, compare
from crnn.gate.comparisons import UnresolvedError, reference
from crnn.gate.limits import Limit
from crnn.gate.machines import Machines
from crnn.gate.measures import MEASURES, PAIRED, paired
from crnn.gate.runs import Run, limits_for, new_verdict, strictness_verdicts
from crnn.gate.selection import Outcomes
from crnn.gate.sequential import QUICK_LOOKS, SCREEN_LOOKS, Reference
from crnn.gate.verdicts import MISSING, NEW, NOT_COMPARABLE, Verdict
from crnn.measure.fingerprint import fingerprint
from crnn.measure.pair_records import Deployment, RelativeLatency
from crnn.measure.record import Record, RecordError
from crnn.measure.records import Identity, Measured, kind_of, measured
from crnn.measure.workload import Workload


def _direct(info: Mapping[str, Any]) -> dict[str, list[float]]:
    """The base's side of process pairs with the base: their ratios are the changes, so it has none of its own."""
    return {measure.key: [] for measure in MEASURES if measure.key in info and measure.record in PAIRED}


class Gate:
    """The baselines of a session, and the verdicts so far. Without a baseline everything passes."""

    def __init__(
        self,
        limits: Mapping[str, Limit],
        baseline: Run | None = None,
        pinned: Run | None = None,
        base: Base | None = None,
        *,
        checkout: Checkout | None = None,
        strict: Mapping[str, Any] | None = None,
        accept_versions: bool = False,
        any_machine: bool = False,
        quick: bool = False,
    ) -> None:
        """Compare with saved runs or with a commit.

        Args:
            limits: override the defaults and the registry's.
            baseline: the rolling baseline.
            pinned: the pinned baseline, which shows creep.
            base: a commit to measure in this session instead.
            checkout: checks the commit of a saved baseline out; None: slowdowns are confirmed without it.
            strict: how strict this run is, see ``strictness``.
            accept_versions: whether times are compared although versions of libraries differ.
            any_machine: whether it is no fault that times of unlike machines are not compared.
            quick: whether this is a --quick run, with one pair of processes per row.
        """
        # Artifacts may differ between commits: their effect is what is compared.
        self._limits = {"artifact": Limit(None), **limits} if base else dict(limits)
        self._baseline, self._pinned, self.base, self._strict = baseline, pinned, base, strict
        self._accept_versions, self._any_machine, self._quick = accept_versions, any_machine, quick
        self._commits = Commits(checkout)
        self.verdicts: list[Verdict] = []
        self.failed: set[str] = set()
        self.notes: list[str] = []
        self.searched = False
        if pinned and (unlike := self._machines(pinned).unlike):
            differences = ", ".join(unlike)
            self.notes.append(f"no comparison with the pinned baseline: {pinned.path.name} differs in {differences}")

    @cached_property
    def _machine(self) -> dict[str, Any]:
        return fingerprint()

    def _machines(self, run: Run) -> Machines:
        """How this machine and that of a run differ; a base is measured on this one, with its own versions."""
        if self.base:
            return Machines(versions_accepted=True)
        return Machines.of(run.fingerprint, self._machine, accept_versions=self._accept_versions)

    @property
    def on(self) -> bool:
        """Whether there is something to compare with."""
        return self._baseline is not None or self.base is not None

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

    def _limits_for(self, info: Mapping[str, Any]) -> dict[str, Limit]:
        return limits_for(info, self._limits, quick=self._quick)

    def _at_hand(self, run: Run) -> str:
        """The commit that a saved baseline was measured at; empty if it cannot be paired with this one."""
        # Other versions are a part of what is compared, see --accept-versions.
        own_packages = bool(self._machines(run).versions)
        paired = not (self.base or self._quick) and self._commits.has(run.commit, own_packages=own_packages)
        return run.commit if paired else ""

    def committed(self, reference: Reference, identity: Identity, artifact: str) -> Workload:
        """The variant at the commit that a reference names.

        Args:
            reference: one that ``references`` returned.
            identity: of the variant.
            artifact: its file, which serves if that of the commit was the same.
        """
        runs = [run for _, run in self._runs() if run.commit == reference.commit]
        same = all(run.artifacts(identity.variant) == {identity.artifact_sha256} for run in runs)
        return self._commits.workload(reference.commit, identity.variant, artifact if same else None)

    def close(self) -> None:
        """Remove the worktrees."""
        self._commits.close()
        if self.base:
            self.base.close()

    @property
    def compares_pairs(self) -> bool:
        """Whether process pairs are compared: not with another machine's, nor with a quick run, which has none."""
        before, limit = self._baseline, self._limits.get("relative_latency")
        if not self.on or (limit and limit.number is None):
            return False
        return before is None or not (before.session.get("quick") or self._machines(before).unlike)

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of process pairs after which a run is compared."""
        return QUICK_LOOKS if self._quick else SCREEN_LOOKS

    def _before(self, run: Run, test: str, info: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The baseline's side of a benchmark; empty ratios if they were measured directly against the base."""
        if self.base and kind_of(info) in PAIRED:
            return {**info, **_direct(info)} if self.base.has(info["variant"]) else None
        return run.benchmarks.get(test)

    def references(self, test: str, identity: Identity, planned: Record) -> list[Reference]:
        """What the process pairs of a test are compared with; empty if they cannot be compared.

        Args:
            test: its full name.
            identity: of the variant.
            planned: the settings of the pairs, without ratios.
        """
        found, info = [], identity.to_json() | planned.to_json()
        limits, after = self._limits_for(info), Measured(identity, planned)
        for _, run in self._runs():
            machines = self._machines(run)
            try:
                before = measured(self._before(run, test, info) or {})
            except RecordError:
                continue  # the verdict will name the fault
            if before is None or type(before.record) is not type(planned):
                continue
            for measure in paired(planned):
                limit = limits[measure.name]
                if limit.number is None or machines.unlike or comparable(measure, before, after, machines):
                    continue
                with suppress(UnresolvedError):  # the verdict will say so
                    found.append(reference(measure, measure.value(before), limit, self._at_hand(run)))
        return found

    def anchor_s(self, test: str) -> float | None:
        """Seconds of the anchor's fastest call in the rolling baseline; None if it has none, or with a base."""
        before = None if self.base or not self._baseline else measured(self._baseline.benchmarks.get(test, {}))
        return before.record.anchor_s if before and isinstance(before.record, RelativeLatency | Deployment) else None

    def allowed(self, identity: Identity, planned: Record) -> dict[str, float]:
        """The allowed increase of each quantity for which a baseline measures until it resolves it."""
        limits = self._limits_for(identity.to_json())
        return {measure.key: limits[measure.name].allowed(1) for measure in paired(planned) if measure.measured_longer}

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
                    if test in run.session.get("failed", ()):
                        self.notes.append(f"{test} fails at {name} by its own thresholds: not compared")
                    continue  # The base measures only accuracy, footprint and process pairs.
                verdicts = [new_verdict(test, info, run, name)]
            else:
                limits = self._limits_for(info)
                verdicts = compare(
                    test, before, info, limits, machines=self._machines(run), baseline=name, commit=run.commit
                )
            if run is self._pinned:
                # The rolling baseline already reports these.
                verdicts = [verdict for verdict in verdicts if verdict.word not in (NEW, NOT_COMPARABLE)]
            found += verdicts
        info["gate_verdicts"] = {f"{v.measure}, {v.baseline}": v.word for v in found}
        self.verdicts += found
        return found

    def changed(self, variant: str, artifact_sha256: str) -> bool:
        """Whether a row's artifact differs from the baseline's; True if nothing is known of that."""
        return not self._baseline or self._baseline.artifacts(variant) != {artifact_sha256}

    def missing(self, outcomes: Outcomes) -> list[Verdict]:
        """What the whole run lacks: results that the baseline has, strictness, a machine like the baseline's.

        The verdicts are kept.
        """
        found, left_out, self.searched = [], 0, True
        for name, run in self._runs():
            machines = self._machines(run)
            for test, info in run.benchmarks.items() if run is not self._pinned else ():
                if test in outcomes.passed | self.failed:
                    continue
                # On the machine of the baseline the row did run: there it is missing like any other.
                excused = machines.unlike and info.get("variant") in outcomes.unsupported
                # A quick run measures pairs only to compare them.
                excused = excused or (self._quick and kind_of(info) in PAIRED and not self.compares_pairs)
                if outcomes.holds(test, info) and not excused:
                    found.append(Verdict(test, "all", MISSING, reason=outcomes.why_missing(test), baseline=name))
                else:
                    left_out += 1
            if run is not self._pinned:
                found += strictness_verdicts(run, self._strict, name)
                found += [] if self._any_machine else machines.verdict(name)
                self.notes += [machines.note] if machines.unlike else []
        if base := self.base:
            gone = Verdict("", "all", MISSING, reason="no longer in the registry", baseline=base.name)
            found += [replace(gone, test=f"variant {name}") for name in base.removed()]
        self.notes += self._commits.notes
        self.notes += [f"not run here: {name}: {reason}" for name, reason in outcomes.unsupported.items()]
        if left_out:
            self.notes.append(f"{left_out} benchmarks of the baseline were not selected")
        self.verdicts += found
        return found
