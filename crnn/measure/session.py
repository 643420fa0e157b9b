"""A session: measures variants, each in fresh processes that alternate with one anchor."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from crnn import artifacts, registry
from crnn.artifacts import ArtifactError
from crnn.corpus.lines import Corpus, Lines
from crnn.measure import accuracy, conversions, footprint, replicate
from crnn.measure.accuracy import Evaluation, largest_difference
from crnn.measure.loading import Loading
from crnn.measure.pace import Pace
from crnn.measure.records import Accuracy, Footprint, Identity, Latency
from crnn.measure.replicate import Anchor, Phases, Setting, outputs_so_far, settle_differences
from crnn.measure.requirements import runs_here
from crnn.measure.row import Begun, Runner
from crnn.measure.schedule import AHEAD, due, first_line
from crnn.measure.scope import Scope
from crnn.measure.watch import Watch
from crnn.measure.workload import LIMIT_S, Reply, UnsoundError, Workload, read_all, reading
from crnn.processor import instruction_sets
from crnn.registry.options import check_options
from crnn.registry.variant import Variant
from crnn.runtimes.base import runtime_class
from crnn.runtimes.process import WorkerError, WorkerProcess

FAILURES = (ArtifactError, UnsoundError, WorkerError)
"""Errors of one variant, which do not affect other variants."""

Tell = Callable[[str, str], None]
"""Reports progress: a variant's name, and what is being done."""


class Session:
    """Measures variants in fresh processes; the outputs of all processes of a variant are evaluated together."""

    def __init__(
        self,
        corpus: Corpus,
        scope: Scope,
        *,
        corpus_folder: Path | None = None,
        device: str = "auto",
        limit_s: float = LIMIT_S,
        rows: Sequence[Variant] = (),
        references: Sequence[Variant] = (),
        larger: Callable[[Variant, Path], Lines | None] = lambda *_: None,
        tell: Tell = lambda *_: None,
    ) -> None:
        """Start nothing yet.

        Args:
            corpus: its test split is read.
            scope: how much is measured.
            corpus_folder: folder of a user's corpus; None for the field corpus.
            device: ``auto``, ``cpu`` or ``cuda``.
            limit_s: seconds after which a worker without a reply counts as hung.
            rows: the variants in the order in which they will be asked for; others get one process.
            references: those that speed-ups refer to; with several processes, they get further ones now and then.
            larger: further lines that a variant with that artifact reads too, to be evaluated apart.
            tell: reports progress.
        """
        self.corpus, self.scope, self.device, self.limit_s = corpus, scope, device, limit_s
        self.lines = corpus.test.take(range(min(scope.lines or len(corpus.test), len(corpus.test))))
        self.watch, self.pace = Watch(), Pace()
        self._rows = {row.name: row for row in rows if runs_here(row, corpus, device)}
        self._folder, self._tell, self._larger = corpus_folder, tell, larger
        self._anchor = Anchor(self.lines, device, limit_s)
        self._begun: dict[str, Begun] = {}
        self._runners: dict[str, Runner] = {}
        self._failures: dict[str, Exception] = {}
        self._loading: dict[str, Loading] = {}
        self._converted, self._references, self._visits = False, references, 0

    def runner(self, variant: Variant) -> Runner:
        """Measure the variant's processes, evaluate and check its outputs; later calls return the same.

        Processes of the rows after it are measured meanwhile, see ``schedule.due``.

        Raises:
            ArtifactError: its artifact is missing, corrupt or cannot be built.
            OptionError: its engine has no such option.
            WorkerError: a process failed.
            UnsoundError: its outputs cannot be trusted.
        """
        name = variant.name
        if name not in self._runners and name not in self._failures:
            for row in self._due(name):
                self._try(row, self._another)
            self._try(variant, self._last)
            self._measure_references(name)
        if name in self._failures:  # do not run into it again for each test that needs the row
            raise self._failures[name]
        return self._runners[name]

    def _try(self, variant: Variant, measure: Callable[[Variant], None]) -> None:
        """Keep a failure for the variant's own tests."""
        if variant.name not in self._failures:
            try:
                measure(variant)
            except FAILURES as error:
                self._failures[variant.name] = error

    def _measure_references(self, visited: str) -> None:
        """Measure the references again now and then: their error is in every speed-up of the run."""
        self._visits += visited in self._rows
        if self.scope.processes > 1 and self._visits % AHEAD == 0:
            for reference in (row for row in self._references if row.name in self._runners and row.name != visited):
                self._try(reference, self._another)

    def _due(self, visited: str) -> Iterator[Variant]:
        """The rows of which a process is measured before the visited row's last one."""

        def measured(name: str) -> int:
            done = name in self._runners or name in self._failures
            return self.scope.processes if done else len(self._begun[name].replicates) if name in self._begun else 0

        names = list(self._rows) if visited in self._rows else [visited]
        found = due(names, visited, self._processes(visited), measured)
        return (self._rows[name] for name in found if name in self._rows)

    def _processes(self, name: str) -> int:
        """Number of processes of a row; a row that others are only compared with is evaluated, not timed."""
        return self.scope.processes if name in self._rows else 1

    def _artifact(self, variant: Variant) -> Path:
        if not self._converted and not artifacts.is_built(variant, self.corpus):
            self._converted = True
            conversions.build_all(list(self._rows.values()), self.corpus, self._folder, self._tell)
        return conversions.ready(variant, self.corpus, self._folder, self._tell)

    def _load(self, variant: Variant, *, alone: bool) -> Loading:
        workload = Workload.of(variant, self._artifact(variant), self.corpus)
        prepared = self.scope.batch_sizes if self.scope.prepares else ()
        return Loading(workload, self.device, self.limit_s, alone=alone and not prepared, prepared=prepared)

    def _load_next(self, variant: Variant) -> None:
        """Have the next process load while this row's outputs are read: nothing is timed then."""
        names = list(self._rows)
        after = names[names.index(variant.name) + 1 :] if variant.name in self._rows and not self._loading else []
        waiting = [name for name in after if name not in self._runners.keys() | self._failures.keys()]
        # Loading takes one core, so two may load at once; they are the next two where a row has one process.
        for visited in waiting[: 2 if self.scope.processes == 1 else 1]:
            following = next(self._due(visited), self._rows[visited])
            if artifacts.is_built(following, self.corpus):
                self._loading[following.name] = self._load(following, alone=False)

    def _begin(self, variant: Variant) -> Begun:
        if variant.name not in self._begun:
            check_options(runtime_class(variant.runtime).load, variant.runtime_options, f"engine of {variant.name}")
            phases = Phases()
            with phases.of("build"):
                artifact = self._artifact(variant)
            self._begun[variant.name] = Begun(variant, artifact, phases)
        return self._begun[variant.name]

    @contextmanager
    def _process(self, begun: Begun) -> Iterator[WorkerProcess]:
        """Measure another process of a variant, which is stopped in the end."""
        variant, number, count = begun.variant, len(begun.replicates), self._processes(begun.variant.name)
        of = f" of {count}" if number < count else ""  # a reference gets further ones
        which = f", process {number + 1}{of}" if count > 1 else ""
        self._tell(variant.name, f"loading{which}")
        with begun.phases.of("start"):
            loading = self._loading.pop(variant.name, None) or self._load(variant, alone=True)
        with loading.worker as worker:
            # The machine is idle when a process is timed.
            for other in self._loading.values():
                other.wait()
            setting = Setting(
                self.lines,
                self.scope.batch_sizes,
                self.scope.plan,
                self._anchor,
                self.watch,
                lambda activity: self._tell(variant.name, activity + which),
            )
            begun.replicates.append(setting.measure(loading, begun.phases, self._first_line(begun, number)))
            yield worker

    def _another(self, variant: Variant) -> None:
        """Measure another process of a variant."""
        begun = self._begin(variant)
        with self._process(begun):
            pass
        if done := self._runners.get(variant.name):
            settle_differences(begun.replicates[-1], done.evaluation, variant.reads(self.corpus.alphabet))

    def _last(self, variant: Variant) -> None:
        """Measure a variant's last process, and evaluate the outputs of all of them."""
        promised = variant.thresholds.max_log_prob_difference
        parent = self.runner(registry.get(variant.parent)) if variant.parent and promised is not None else None
        begun = self._begin(variant)
        with self._process(begun) as worker:
            self._tell(variant.name, f"evaluating {len(self.lines)} lines")
            with begun.phases.of("evaluate"):
                outputs = self._outputs(worker, begun)
                # Counted while this process evaluates.
                worker.begin("count", variant.format)
                workload = Workload.of(variant, begun.artifact, self.corpus)
                evaluated = reading(workload, outputs, self.lines)
                counted = worker.finish()
                larger = self._read_larger(worker, begun)
        runner = Runner(variant, begun.artifact, evaluated, counted, begun.replicates, begun.phases, larger=larger)
        for one in runner.replicates:
            settle_differences(one, runner.evaluation, workload.alphabet)
        if parent and promised is not None:
            runner.parent_difference = largest_difference(evaluated.evaluation.log_probs, parent.evaluation.log_probs)
            if runner.parent_difference > promised:
                raise UnsoundError(
                    f"{variant.name} differs from {variant.parent} by {runner.parent_difference:.3g} in log "
                    f"probability, {promised:g} is allowed"
                )
        self._runners[variant.name] = runner

    def _read_larger(self, worker: WorkerProcess, begun: Begun) -> Evaluation | None:
        """The evaluation on further lines, if the variant is to read some."""
        if (lines := self._larger(begun.variant, begun.artifact)) is None:
            return None
        self._tell(begun.variant.name, f"evaluating {len(lines)} more lines")
        workload = Workload.of(begun.variant, begun.artifact, self.corpus)
        return read_all(worker, workload, lines, self.scope.evaluated_at).evaluation

    def _outputs(self, worker: WorkerProcess, begun: Begun) -> Reply:
        """The outputs for all lines: those of the calls so far, and the rest, read now."""
        size, count = self.scope.evaluated_at, len(self.lines)
        # Rows that quantize at run time give other outputs at another size: they need the same in each run.
        depends = begun.variant.thresholds.max_lines_read_differently > 0
        sizes = [size] if depends else sorted(self.scope.batch_sizes, reverse=True)
        log_probs, known = outputs_so_far(begun.replicates, sizes, count)
        # Some lines are read again, to be compared with the timed calls; meanwhile threads are counted.
        again = self._first_line(begun, len(begun.replicates) - 1)
        starts = [start for start in range(0, count, size) if start == again or not known[start : start + size].all()]
        worker.begin("outputs", size, starts)
        if self.scope.processes > 1 or self.scope.prepares:
            self._load_next(begun.variant)
        outputs, seconds, threads = worker.finish()
        for start, output in zip(starts, outputs, strict=True):
            log_probs[start : start + size] = output[: count - start]
        return log_probs, seconds, threads

    def _first_line(self, begun: Begun, number: int) -> int:
        """The line at which a process of a variant begins."""
        return first_line(number, self._processes(begun.variant.name), len(self.lines), self.scope.evaluated_at)

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
            larger=runner.larger,
        )

    def footprint(self, runner: Runner) -> Footprint:
        """Parameters, MACs, bytes, memory and load time."""
        return footprint.record(runner.artifact, runner.counted, runner.replicates, runner.phases)

    def latency(self, runner: Runner, batch_size: int) -> tuple[Latency, list[float]]:
        """Seconds per batch and ratios to the anchor, over all processes; and the seconds of each call."""
        return replicate.latency(runner.replicates, batch_size, self._anchor)

    def close(self) -> None:
        """Stop all workers."""
        for loading in self._loading.values():
            loading.worker.stop()
        self._anchor.stop()
