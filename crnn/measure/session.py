"""A session: runs variants one after the other; originals stay alive as references."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crnn import artifacts, registry
from crnn.artifacts import ArtifactError
from crnn.corpus.lines import Corpus
from crnn.measure import accuracy, footprint, latency
from crnn.measure.accuracy import Evaluation, largest_difference
from crnn.measure.latency import Plan, Side, TimedDifference
from crnn.measure.records import Accuracy, Footprint, Identity, Latency
from crnn.measure.workload import LIMIT_S, Run, UnsoundError, Workload, start
from crnn.registry.options import check_options
from crnn.registry.variant import Variant
from crnn.runtimes.base import missing, runtime_class
from crnn.runtimes.process import WorkerError

_ROOT = Path(__file__).parents[2]

FAILURES = (ArtifactError, UnsoundError, WorkerError)
"""Errors of one variant, which do not affect other variants."""


@dataclass(frozen=True)
class Runner:
    """A variant that has read all test lines and passed the checks.

    Attributes:
        variant: the row.
        artifact: the loaded file.
        run: its worker and evaluation.
        parent_difference: largest difference to the parent in log probability; None if the
            technique promises no agreement.
    """

    variant: Variant
    artifact: Path
    run: Run
    parent_difference: float | None


class Timed(NamedTuple):
    """A latency record with the seconds of each timed call."""

    record: Latency
    seconds: list[float]


def lacking(variant: Variant) -> list[str]:
    """Requirements of the variant and its ancestors that this environment lacks."""
    lineage = (variant, *registry.ancestors(variant))
    return sorted({need for relative in lineage for need in missing(relative.runtime, relative.requires)})


def unsupported(variant: Variant, device: str) -> str | None:
    """Why this machine's processor cannot run the variant; None if it can."""
    return runtime_class(variant.runtime).unsupported(device, **variant.runtime_options)


def ready_artifact(variant: Variant, corpus: Corpus, folder: Path | None = None) -> Path:
    """The variant's artifact, converted first if necessary.

    Conversion runs in a separate process, because converters import frameworks.

    Args:
        variant: the row.
        corpus: the corpus that it was trained on or is calibrated with.
        folder: folder of a user's corpus; None for the field corpus.

    Raises:
        ArtifactError: the artifact is missing, corrupt or cannot be built.
    """
    if not variant.trained and not artifacts.is_built(variant, corpus):
        for ancestor in registry.ancestors(variant):
            if ancestor.trained:
                artifacts.find(ancestor, corpus)
        own = ["--corpus", str(folder)] if folder else []
        command = [sys.executable, "-m", "crnn", "build", variant.name, *own]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT)
        if done.returncode:
            raise ArtifactError(f"building {variant.name} failed:\n{done.stderr.strip()[-3000:]}")
    return artifacts.find(variant, corpus)


class Session:
    """Runs variants. Originals stay alive as references; others are stopped by ``retire``."""

    def __init__(
        self,
        corpus: Corpus,
        *,
        corpus_folder: Path | None = None,
        device: str = "auto",
        limit_s: float = LIMIT_S,
    ) -> None:
        """Start nothing yet.

        Args:
            corpus: its test split is read.
            corpus_folder: folder of a user's corpus; None for the field corpus.
            device: ``auto``, ``cpu`` or ``cuda``.
            limit_s: seconds after which a worker without a reply counts as hung.
        """
        self.corpus, self.device, self.limit_s = corpus, device, limit_s
        self._folder = corpus_folder
        self._runners: dict[str, Runner] = {}
        self._evaluations: dict[str, Evaluation] = {}
        self._failures: dict[str, Exception] = {}

    def runner(self, variant: Variant) -> Runner:
        """Start, load, evaluate and check a variant, or return the one that is running.

        Raises:
            ArtifactError: its artifact is missing, corrupt or cannot be built.
            OptionError: its engine has no such option.
            WorkerError: its process failed.
            UnsoundError: its outputs cannot be trusted.
        """
        # Do not run into the same failure again for each variant that is compared with this one.
        if variant.name in self._failures:
            raise self._failures[variant.name]
        if known := self._runners.get(variant.name):
            if not known.run.worker.alive:
                raise WorkerError(f"{variant.name}: its worker died in an earlier test")
            return known
        try:
            runner = self._start(variant)
        except FAILURES as error:
            self._failures[variant.name] = error
            raise
        self._evaluations[variant.name], self._runners[variant.name] = runner.run.evaluation, runner
        return runner

    def _evaluation(self, variant: Variant) -> Evaluation:
        """The evaluation of a variant that others are checked against; runs it if necessary."""
        if variant.name not in self._evaluations:
            self.runner(variant)
            self.retire(variant)
        return self._evaluations[variant.name]

    def _start(self, variant: Variant) -> Runner:
        check_options(runtime_class(variant.runtime).load, variant.runtime_options, f"engine of {variant.name}")
        artifact = ready_artifact(variant, self.corpus, self._folder)
        promised = variant.thresholds.max_log_prob_difference
        parent = registry.get(variant.parent) if variant.parent and promised is not None else None
        expected = self._evaluation(parent) if parent else None
        run = start(Workload.of(variant, artifact), self.corpus, device=self.device, limit_s=self.limit_s)
        difference = largest_difference(run.evaluation.log_probs, expected.log_probs) if expected else None
        if promised is not None and difference is not None and difference > promised:
            run.worker.stop()
            raise UnsoundError(
                f"{variant.name} differs from {variant.parent} by {difference:.3g} in log probability, "
                f"{promised:g} is allowed"
            )
        return Runner(variant, artifact, run, difference)

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
        variant, run = runner.variant, runner.run
        return Identity(
            variant=variant.name,
            technique=variant.technique,
            runtime=run.engine,
            device=run.device,
            threads_count=run.threads,
            original=registry.original_of(variant).name,
            artifact_sha256=artifacts.sha256_of(runner.artifact),
            corpus=self.corpus.name,
            corpus_sha256=self.corpus.sha256,
            lines_count=len(self.corpus.test),
        )

    def accuracy(self, runner: Runner) -> Accuracy:
        """Measure CER and CTC loss, and compare them with the original's."""
        original, alone = self.original(runner.variant)
        return accuracy.record(
            runner.run.evaluation,
            self.corpus,
            original.run.evaluation if original else None,
            alone_because=alone,
            parent_difference=runner.parent_difference,
        )

    def footprint(self, runner: Runner) -> Footprint:
        """Measure parameters, MACs, bytes, memory and load time."""
        run = runner.run
        counted = run.worker.ask("count", runner.variant.format)
        return footprint.record(
            runner.artifact, counted, run.peak_memory_bytes, run.load_s, first_call_s=run.batch_seconds[0]
        )

    def latency(self, runner: Runner, batch_size: int, plan: Plan) -> Timed:
        """Measure seconds per batch and the speed-up over the original, from paired, interleaved blocks."""
        original, alone = self.original(runner.variant)
        runs = [runner.run, original.run] if original else [runner.run]
        sides = [Side(run.worker, batch_size, run.untimed[batch_size]) for run in runs]
        latency.warm_up(sides, plan)
        latency.run_pairs(sides, plan)
        difference = self.timed_difference(sides[:1], runner, np.arange(len(self.corpus.test)))
        record = latency.record(sides[0], sides[1] if original else None, difference, alone)
        return Timed(record, [second for block in sides[0].blocks for second in block])

    def timed_difference(self, sides: list[Side], runner: Runner, rows: np.ndarray) -> TimedDifference:
        """How the outputs of a variant's timed calls differ from the evaluated ones; see ``latency``."""
        return latency.timed_difference(sides, runner.run.evaluation, self.corpus.alphabet, rows)

    def retire(self, variant: Variant) -> None:
        """Stop the variant's worker, unless it is an original: others are compared with originals."""
        if variant.parent is not None and (runner := self._runners.pop(variant.name, None)):
            runner.run.worker.stop()

    def close(self) -> None:
        """Stop all workers."""
        for runner in self._runners.values():
            runner.run.worker.stop()
        self._runners.clear()
