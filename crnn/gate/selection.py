"""The selection of a session and its outcome; they tell missing benchmarks from deselected ones."""

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crnn.measure.pair_records import Deployment
from crnn.measure.records import Throughput
from crnn.measure.way_record import WholeWay
from crnn.registry.variant import Variant

# Fields of the measurements that a --quick run leaves out.
_NOT_QUICK = {Deployment.marker(), Throughput.marker(), WholeWay.marker()}


@dataclass(frozen=True)
class Asked:
    """The selection of a run.

    Attributes:
        patterns: the globs that select variants.
        variants: in the registry's order.
        batch_sizes: lines per call, ascending.
        device: ``auto``, ``cpu`` or ``cuda``.
        corpus: a user's folder, None for the field corpus.
        quick: whether this is a --quick run, with one process pair per row, without throughput.
        judge_full: whether rows with a changed artifact also read the larger test split.
    """

    patterns: tuple[str, ...]
    variants: tuple[Variant, ...]
    batch_sizes: tuple[int, ...]
    device: str
    corpus: Path | None
    quick: bool
    judge_full: bool = field(default=False, kw_only=True)

    def wants(self, name: str) -> bool:
        """Whether a variant of that name would be measured, even one that the registry no longer has."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns)

    def holds(self, info: Mapping[str, Any]) -> bool:
        """Whether a baseline's benchmark would be measured.

        Args:
            info: its ``extra_info``.
        """
        variant, size = info.get("variant"), info.get("batch_size_lines")
        wanted = (variant is None or self.wants(variant)) and (size is None or size in self.batch_sizes)
        return wanted and not (self.quick and not _NOT_QUICK.isdisjoint(info))


@dataclass
class Outcomes:
    """What happened to the benchmarks of a session.

    Attributes:
        asked: what the options select.
        named: tells whether the command line's files and node ids include a test.
        deselected: full names of the tests that ``-k`` and ``-m`` left out.
        passed: full names of the tests that passed.
        failed: full names of the tests that failed.
        skipped: full names of the tests that were skipped.
        unmeasured: those of the skipped tests whose row no machine of the maintainers can run.
        unsupported: variants that this machine cannot run, with the reason.
        interrupted: whether the session was interrupted.
    """

    asked: Asked
    named: Callable[[str], bool]
    deselected: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    unmeasured: set[str] = field(default_factory=set)
    unsupported: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def left_out(self) -> int:
        """Number of collected benchmarks that were not run, although a machine of the maintainers can run them."""
        return len(self.deselected) + len(self.skipped - self.unmeasured)

    def holds(self, test: str, info: Mapping[str, Any]) -> bool:
        """Whether this session should have run a benchmark that a baseline has.

        Args:
            test: its full name.
            info: its ``extra_info`` in the baseline.
        """
        return self.named(test) and test not in self.deselected and self.asked.holds(info)

    def why_missing(self, test: str) -> str:
        """Why a test has no result."""
        if test in self.failed:
            return "its test failed"
        if test in self.skipped:
            return "its test was skipped"
        return "the suite has no such benchmark: was it renamed or removed?"
