"""A session: measures variants, each in fresh processes that alternate with one anchor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crnn import artifacts, registry
from crnn.artifacts import ArtifactError
from crnn.corpus.lines import Corpus
from crnn.formats.counts import Counts
from crnn.measure import accuracy, conversions, footprint, latency, replicate
from crnn.measure.accuracy import Evaluation, largest_difference
from crnn.measure.latency import FULL, Plan, Side, TimedDifference
from crnn.measure.loading import Loading
from crnn.measure.records import Accuracy, Footprint, Identity, Latency
from crnn.measure.replicate import Anchor, Phases, Replicate, Setting, settle_differences
from crnn.measure.requirements import lacking, unsupported
from crnn.measure.watch import Watch
from crnn.measure.workload import EVALUATED_BATCH_SIZE, LIMIT_S, Reading, Reply, UnsoundError, Workload, reading
from crnn.registry.options import check_options
from crnn.registry.variant import Variant
from crnn.runtimes.base import runtime_class
from crnn.runtimes.process import WorkerError, WorkerProcess
from crnn.runtimes.processor import instruction_sets

FAILURES = (ArtifactError, UnsoundError, WorkerError)
"""Errors of one variant, which do not affect other variants."""

Tell = Callable[[str, str], None]
"""Reports progress: a variant's name, and what is being done."""


@dataclass(frozen=True)
class Scope:
    """How much a session measures.

    Attributes:
        batch_sizes: lines per call, ascending.
        processes: fresh processes per variant.
        lines: number of lines to evaluate, the first of the test split; None for all.
        evaluated_at: batch size of the evaluation.
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


@dataclass
class Runner:
    """A variant whose first process has been measured and has read the lines.

    Attributes:
        variant: the row.
        artifact: the file.
        reading: its evaluation.
        counted: parameters, MACs and deflated weights.
        replicates: one per process so far.
        phases: seconds that the row cost.
        parent_difference: largest difference to the parent in log probability; None if the
            technique promises no agreement.
    """

    variant: Variant
    artifact: Path
    reading: Reading
    counted: Counts
    replicates: list[Replicate]
    phases: Phases
    parent_difference: float | None = None

    @property
    def evaluation(self) -> Evaluation:
        """Of its outputs."""
        return self.reading.evaluation


class Session:
    """Measures variants one after the other. Of each, one process is evaluated and all of them are timed."""

    def __init__(
        self,
        corpus: Corpus,
        scope: Scope,
        *,
        corpus_folder: Path | None = None,
        device: str = "auto",
        limit_s: float = LIMIT_S,
        rows: Sequence[Variant] = (),
        tell: Tell = lambda *_: None,
    ) -> None:
        """Start nothing yet.

        Args:
            corpus: its test split is read.
            scope: how much is measured.
            corpus_folder: folder of a user's corpus; None for the field corpus.
            device: ``auto``, ``cpu`` or ``cuda``.
            limit_s: seconds after which a worker without a reply counts as hung.
            rows: the variants in the order in which they will be measured.
            tell: reports progress.
        """
        self.corpus, self.scope, self.device, self.limit_s = corpus, scope, device, limit_s
        self.lines = corpus.test.take(range(min(scope.lines or len(corpus.test), len(corpus.test))))
        self.watch = Watch()
        self._folder, self._rows, self._tell = corpus_folder, list(rows), tell
        self._anchor = Anchor(self.lines, device, limit_s)
        self._runners: dict[str, Runner] = {}
        self._failures: dict[str, Exception] = {}
        self._loading: dict[str, Loading] = {}
        self._converted = False

    def runner(self, variant: Variant) -> Runner:
        """Measure the variant's first process, evaluate and check its outputs; later calls return the same.

        Raises:
            ArtifactError: its artifact is missing, corrupt or cannot be built.
            OptionError: its engine has no such option.
            WorkerError: its process failed.
            UnsoundError: its outputs cannot be trusted.
        """
        # Do not run into the same failure again for each test of the variant, and of those compared with it.
        if variant.name in self._failures:
            raise self._failures[variant.name]
        if variant.name not in self._runners:
            try:
                self._runners[variant.name] = self._first(variant)
            except FAILURES as error:
                self._failures[variant.name] = error
                raise
        return self._runners[variant.name]

    def _artifact(self, variant: Variant) -> Path:
        if not self._converted and not artifacts.is_built(variant, self.corpus):
            self._converted = True
            # Rows that cannot run here need no conversion.
            runnable = [row for row in self._rows if not lacking(row) and not unsupported(row, self.device)]
            conversions.build_all(runnable, self.corpus, self._folder, self._tell)
        return conversions.ready(variant, self.corpus, self._folder, self._tell)

    def _load(self, variant: Variant, *, alone: bool) -> Loading:
        workload = Workload.of(variant, self._artifact(variant))
        prepared = self.scope.batch_sizes if self.scope.prepares else ()
        return Loading(workload, self.device, self.limit_s, alone=alone and not prepared, prepared=prepared)

    def _load_next(self, variant: Variant) -> None:
        """Have the next row's first process load while this row's is evaluated: nothing is timed then."""
        after = self._rows[self._rows.index(variant) + 1 :] if variant in self._rows else []
        known = self._runners.keys() | self._failures.keys() | self._loading.keys()
        following = next((row for row in after if row.name not in known), None)
        if following is None or self._loading or not artifacts.is_built(following, self.corpus):
            return
        if not lacking(following) and not unsupported(following, self.device):
            self._loading[following.name] = self._load(following, alone=False)

    def _setting(self, variant: Variant, process: int) -> Setting:
        """What is needed to time a process; the machine is idle by then."""
        for loading in self._loading.values():
            loading.wait()
        count = self.scope.processes
        which = f", process {process + 1} of {count}" if count > 1 else ""

        def tell(activity: str) -> None:
            self._tell(variant.name, activity + which)

        sizes, plan = self.scope.batch_sizes, self.scope.plan
        return Setting(self.lines, self.corpus.alphabet, sizes, plan, self._anchor, self.watch, tell)

    def _first(self, variant: Variant) -> Runner:
        check_options(runtime_class(variant.runtime).load, variant.runtime_options, f"engine of {variant.name}")
        phases = Phases()
        with phases.of("build"):
            artifact = self._artifact(variant)
        promised = variant.thresholds.max_log_prob_difference
        parent = self.runner(registry.get(variant.parent)) if variant.parent and promised is not None else None
        self._tell(variant.name, "loading")
        with phases.of("start"):
            loading = self._loading.pop(variant.name, None) or self._load(variant, alone=True)
        with loading.worker as worker:
            first = self._setting(variant, 0).measure(loading, phases)
            self._tell(variant.name, f"evaluating {len(self.lines)} lines")
            with phases.of("evaluate"):
                outputs = self._outputs(worker, first, variant)
                # Counted while this process evaluates.
                worker.begin("count", variant.format)
                evaluated = reading(variant.name, outputs, self.lines, self.corpus.alphabet)
                counted = worker.finish()
        runner = Runner(variant, artifact, evaluated, counted, [first], phases)
        settle_differences(first, runner.evaluation, self.corpus.alphabet)
        if parent and promised is not None:
            runner.parent_difference = largest_difference(evaluated.evaluation.log_probs, parent.evaluation.log_probs)
            if runner.parent_difference > promised:
                raise UnsoundError(
                    f"{variant.name} differs from {variant.parent} by {runner.parent_difference:.3g} in log "
                    f"probability, {promised:g} is allowed"
                )
        return runner

    def _outputs(self, worker: WorkerProcess, first: Replicate, variant: Variant) -> Reply:
        """The outputs for all lines: those of the calls at the same batch size, and the rest, read now."""
        size = self.scope.evaluated_at
        there = first.sizes[size].side.first_outputs() if size in first.sizes else np.empty((0, 0, 0), np.float32)
        # The last batch is read in any case: while it does so, threads are counted.
        there = there[: (len(self.lines) - 1) // size * size]
        worker.begin("outputs", size, len(there))
        if self.scope.processes > 1 or self.scope.prepares:
            self._load_next(variant)
        log_probs, seconds, threads = worker.finish()
        return np.concatenate([there, log_probs]) if len(there) else log_probs, seconds, threads

    def replicated(self, runner: Runner) -> list[Replicate]:
        """All processes of a variant; those that have not run yet are measured.

        Raises:
            WorkerError: a process failed.
            UnsoundError: an output cannot be trusted.
        """
        name = runner.variant.name
        if name in self._failures:
            raise self._failures[name]
        try:
            while (process := len(runner.replicates)) < self.scope.processes:
                self._tell(name, f"loading, process {process + 1} of {self.scope.processes}")
                with runner.phases.of("start"):
                    loading = self._load(runner.variant, alone=True)
                # Other lines in each process, so that more of them are compared.
                first_line = process * len(self.lines) // self.scope.processes
                with loading.worker:
                    another = self._setting(runner.variant, process).measure(loading, runner.phases, first_line)
                settle_differences(another, runner.evaluation, self.corpus.alphabet)
                runner.replicates.append(another)
        except FAILURES as error:
            self._failures[name] = error
            raise
        return runner.replicates

    def timed_difference(self, sides: Sequence[Side], evaluation: Evaluation, rows: np.ndarray) -> TimedDifference:
        """How the outputs of a variant's timed calls differ from the evaluated ones; see ``latency``."""
        return latency.timed_difference(sides, evaluation, self.corpus.alphabet, rows)

    def original(self, variant: Variant) -> tuple[Runner | None, str | None]:
        """The original that the variant is compared with, or None and the reason: its failure is not the variant's."""
        original = registry.original_of(variant)
        if original is variant:
            return None, "it is the original"
        try:
            return self.runner(original), None
        except FAILURES as error:
            return None, str(error).splitlines()[0]

    def identity(self, runner: Runner) -> Identity:
        """The variant, its technique, engine, artifact and corpus."""
        variant, first = runner.variant, runner.replicates[0]
        return Identity(
            variant=variant.name,
            technique=variant.technique,
            runtime=first.engine,
            device=first.device,
            threads_count=runner.reading.threads,
            original=registry.original_of(variant).name,
            artifact_sha256=artifacts.sha256_of(runner.artifact),
            corpus=self.corpus.name,
            corpus_sha256=self.corpus.sha256,
            lines_count=len(self.lines),
            instruction_sets=", ".join(instruction_sets()),
        )

    def accuracy(self, runner: Runner) -> Accuracy:
        """CER and CTC loss, compared with the original's."""
        original, alone = self.original(runner.variant)
        return accuracy.record(
            runner.evaluation,
            self.lines,
            self.corpus.name,
            original.evaluation if original else None,
            alone_because=alone,
            parent_difference=runner.parent_difference,
        )

    def footprint(self, runner: Runner) -> Footprint:
        """Parameters, MACs, bytes, memory and load time."""
        return footprint.record(runner.artifact, runner.counted, self.replicated(runner), runner.phases)

    def latency(self, runner: Runner, batch_size: int) -> tuple[Latency, list[float]]:
        """Seconds per batch and ratios to the anchor, over all processes; and the seconds of each call."""
        return replicate.latency(self.replicated(runner), batch_size, self._anchor)

    def close(self) -> None:
        """Stop all workers."""
        for loading in self._loading.values():
            loading.worker.stop()
        self._anchor.stop()
