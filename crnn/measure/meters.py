"""Meters: they measure pair after pair of one variant, and make the records of what the gate compares."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from crnn.measure.latency import TimedDifference, timed_difference
from crnn.measure.pair_records import Deployment, RelativeLatency
from crnn.measure.process_pairs import (
    ONE_THREAD,
    Pair,
    Setting,
    anchor_of,
    called_as,
    can_pin,
    deployment,
    measure,
    slowed_alike,
)
from crnn.measure.row import Runner
from crnn.measure.session import Session
from crnn.measure.workload import Workload, engine_sha256

# More lines than the calls read: with only those, ratios spread two to three times as wide.
_LINES = 256
# For so long, pairs of a row that were measured at a slow pace are measured again; see also ``Pace.patience_s``.
_PATIENCE_S = 60.0


class Meter:
    """Measures pair after pair of one variant.

    Attributes:
        alike: whether pairs with the anchor are measured at any pace that lasts, see ``pace.Probe``.
        counts_threads: whether the first pair counts the threads that compute.
    """

    def __init__(
        self, session: Session, runner: Runner, setting: Setting = ONE_THREAD, reference: Workload | None = None
    ) -> None:
        """Pair the variant with its engine's anchor, or with another workload.

        Args:
            session: provides corpus, device and time limit.
            runner: the measured variant; it reads 256 lines of the test split.
            setting: how both compute.
            reference: the workload that it is paired with; None for the anchor.
        """
        self.setting = setting
        self._session, self._runner = session, runner
        self._own = Workload.of(runner.variant, runner.artifact, session.corpus)
        self._reference = reference or Workload("anchor", anchor_of(runner.variant, setting))
        self.alike, self.counts_threads = slowed_alike(runner.variant), True
        # A commit of the same model is slowed down as this one is.
        self._pace = None if reference else session.pace
        self._rows = np.arange(_LINES) % len(session.lines)
        self._lines = session.lines.take(self._rows)
        self._difference: TimedDifference | None = None
        self._count, self._patience_s = 0, _PATIENCE_S
        self.disturbed = 0
        self.spent_s = 0.0
        self.seconds: list[float] = []

    def next_pair(self) -> Pair:
        """A fresh pair of processes; the order alternates. One at a slow pace is measured again, see ``pace``."""
        start, pair = time.monotonic(), self._next_pair()
        while pair.disturbed and min(self._patience_s, self._session.pace.patience_s) > 0:
            again = time.monotonic()
            with self._session.pace.waiting():
                pair = self._next_pair()
            self._patience_s -= time.monotonic() - again
        self.disturbed += pair.disturbed
        self._count += 1
        self.seconds += pair.seconds
        self.spent_s += time.monotonic() - start
        alphabet = self._runner.variant.reads(self._session.corpus.alphabet)
        found = timed_difference(pair.sides, self._runner.evaluation, alphabet, self._rows)
        self._difference = found | self._difference if self._difference else found
        return pair

    def _next_pair(self) -> Pair:
        return measure(
            (self._own, self._reference),
            self._lines,
            self.setting,
            device=self._session.device,
            order=self._count,
            limit_s=self._session.limit_s,
            # Checking once is enough: it takes longer than the timed calls.
            counts_threads=self.counts_threads and not self._count,
            pace=self._pace,
            alike=self.alike,
        )

    def expect(self, anchor_s: float) -> None:
        """The anchor's fastest call in a run on this machine: slower ones are measured at a slow pace."""
        self._session.pace.expect(called_as(self._reference, self.setting), anchor_s)

    @property
    def anchor_s(self) -> float | None:
        """Seconds of the fastest call so far of what the variant is paired with; None if nothing was timed."""
        return self._session.pace.fastest_s(called_as(self._reference, self.setting)) if self.seconds else None

    @property
    def anchor(self) -> str:
        """The engine of what the variant is paired with."""
        return self._reference.runtime

    @property
    def anchor_sha256(self) -> str:
        """Of that engine's file."""
        return engine_sha256(self._reference.runtime)

    @property
    def log_prob_difference(self) -> float | None:
        """Largest difference of timed and evaluated outputs; None if nothing was timed."""
        return self._difference.log_prob if self._difference else None

    @property
    def lines_read_differently(self) -> int | None:
        """Number of lines whose text differs between the two; None if nothing was timed."""
        return len(self._difference.lines) if self._difference else None


Ratios = Mapping[str, float]
"""What a pair gave, by field of the record."""
Direct = dict[str, dict[str, list[float]]]
"""Ratios of pairs with commits, by commit and field of the record."""
_SMALLEST, _LARGEST, _START = "deployed_ratios", "deployed_largest_ratios", "deployed_start_ratios"
_LARGEST_FIRST, _LOAD = "deployed_largest_first_call_ratios", "deployed_load_ratios"
_DEPLOYED: Mapping[str, Callable[[Pair], float]] = {
    _SMALLEST: lambda pair: pair.calls[min(pair.calls)],
    _LARGEST: lambda pair: pair.calls[max(pair.calls)],
    _START: lambda pair: pair.start,
    _LARGEST_FIRST: lambda pair: pair.first_calls[max(pair.calls)],
    _LOAD: lambda pair: pair.load,
}


class RelativeMeter(Meter):
    """Measures latency relative to the anchor, on one thread and one core."""

    def __init__(self, session: Session, runner: Runner, reference: Workload | None = None) -> None:
        """Pair the variant with its engine's anchor, or with another workload; see ``Meter``."""
        super().__init__(session, runner, ONE_THREAD, reference)

    def only(self, fields: Collection[str]) -> None:
        """There is one field: all of it is needed."""

    def next_ratios(self) -> Ratios:
        """The ratios of a fresh pair of processes."""
        return {"gate_ratios": self.next_pair().ratio}

    def record(
        self, screen: Sequence[Ratios] = (), confirmation: Sequence[Ratios] = (), direct: Direct | None = None
    ) -> RelativeLatency:
        """The record of the pairs measured so far, with the settings under which they compare.

        Args:
            screen: in the order in which they were measured.
            confirmation: a second, independent set.
            direct: ratios of pairs with commits of baselines, by commit and field.
        """
        return RelativeLatency(
            anchor=self.anchor,
            anchor_sha256=self.anchor_sha256,
            gate_batch_size_lines=self.setting.batch_sizes[0],
            gate_threads_count=self.setting.threads or 0,
            gate_pinned=can_pin(),
            gate_plan=str(self.setting.plan),
            gate_ratios=[pair["gate_ratios"] for pair in screen],
            gate_confirmation_ratios=[pair["gate_ratios"] for pair in confirmation],
            gate_direct_ratios=direct or {},
            gate_anchor_s=self.anchor_s,
            gate_disturbed_pairs_count=self.disturbed,
            gate_pairs_s=self.spent_s,
            gate_answers_log_prob_difference_nats=self.log_prob_difference,
            gate_lines_read_differently_count=self.lines_read_differently,
        )


class DeploymentMeter(Meter):
    """Measures latency, first calls and loading relative to the anchor, at deployment settings."""

    def __init__(self, session: Session, runner: Runner, reference: Workload | None = None) -> None:
        """Pair the variant with its engine's anchor, or with another workload; see ``Meter``."""
        super().__init__(session, runner, deployment(max(session.scope.batch_sizes)), reference)

    def only(self, fields: Collection[str]) -> None:
        """From now on measure only what these fields of the record need: the other ratios mean nothing then."""
        smallest, largest = self.setting.batch_sizes[0], self.setting.batch_sizes[-1]
        sizes = {largest} if {_LARGEST, _LARGEST_FIRST} & set(fields) else set()
        if {_SMALLEST, _START} & set(fields) or not sizes:
            sizes.add(smallest)
        self.setting = replace(self.setting, batch_sizes=tuple(sorted(sizes)))
        if not {_START, _LOAD} & set(fields):
            self.setting = replace(self.setting, starts=1, loads_apart=False)

    def next_ratios(self) -> Ratios:
        """The ratios of a fresh pair of processes."""
        pair = self.next_pair()
        return {name: ratio(pair) for name, ratio in _DEPLOYED.items()}

    def record(
        self, screen: Sequence[Ratios] = (), confirmation: Sequence[Ratios] = (), direct: Direct | None = None
    ) -> Deployment:
        """The record of the pairs measured so far, with the settings under which they compare.

        Args:
            screen: in the order in which they were measured.
            confirmation: a second, independent set.
            direct: ratios of pairs with commits of baselines, by commit and field.
        """
        return Deployment(
            **{name: [pair[name] for pair in screen] for name in _DEPLOYED},
            deployed_confirmation_ratios={name: [pair[name] for pair in confirmation] for name in _DEPLOYED},
            deployed_direct_ratios=direct or {},
            deployed_largest_batch_size_lines=self.setting.batch_sizes[-1],
            deployed_anchor=self.anchor,
            deployed_anchor_sha256=self.anchor_sha256,
            deployed_plan=str(self.setting),
            deployed_anchor_s=self.anchor_s,
            deployed_disturbed_pairs_count=self.disturbed,
            deployed_pairs_s=self.spent_s,
            deployed_answers_log_prob_difference_nats=self.log_prob_difference,
            deployed_lines_read_differently_count=self.lines_read_differently,
        )
