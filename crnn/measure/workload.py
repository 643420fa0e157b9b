"""What a worker runs, and what it makes of the test split."""

import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crnn.artifacts import sha256_of
from crnn.corpus.lines import Corpus, Lines, Size
from crnn.interface import BUILT_IN, Frame
from crnn.measure import accuracy
from crnn.measure.accuracy import Evaluation, evaluate
from crnn.registry.variant import Variant
from crnn.runtimes.base import runtime_class
from crnn.runtimes.process import WorkerProcess

# In quick and full runs alike: rows that quantize at run time give other outputs at another size.
EVALUATED_BATCH_SIZE = 32
LIMIT_S = 300.0


def engine_sha256(runtime: str) -> str:
    """SHA-256 of an engine's file: ratios to an anchor compare while this stays the same."""
    return sha256_of(Path(inspect.getfile(runtime_class(runtime))))


class UnsoundError(AssertionError):
    """Raised for a variant whose outputs cannot be trusted; it is not timed."""


@dataclass(frozen=True)
class Workload:
    """What one worker runs.

    Attributes:
        name: for messages.
        runtime: the engine's name, see ``crnn/runtimes/base.py``.
        artifact: path of the artifact; empty for an anchor.
        options: options of the engine's ``load``.
        root: the checkout whose code the worker runs; None for this one.
        sha256: of the artifact, checked by the worker; None: no check.
        python: the interpreter; None for this one.
        frame: of the images that it reads.
        lines: height and width of a built-in model's lines, if they are not the usual ones.
        alphabet: the characters that it reads.
        time_steps: of its outputs; None: any number.
    """

    name: str
    runtime: str
    artifact: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    root: Path | None = None
    sha256: str | None = None
    python: str | None = None
    frame: Frame = BUILT_IN.frame
    lines: Size | None = None
    alphabet: str = ""
    time_steps: int | None = None

    @classmethod
    def of(cls, variant: Variant, artifact: Path, corpus: Corpus) -> "Workload":
        """A variant with its verified artifact, which reads a corpus."""
        path, takes, lines = artifact.resolve(), variant.interface, None
        if takes == BUILT_IN and corpus.size != BUILT_IN.size:
            takes, lines = BUILT_IN.at_size(*corpus.size), corpus.size
        return cls(
            variant.name,
            variant.runtime,
            str(path),
            variant.runtime_options,
            sha256=sha256_of(path),
            frame=takes.frame,
            lines=lines,
            alphabet=variant.reads(corpus.alphabet),
            time_steps=takes.time_steps,
        )

    def process(self, limit_s: float = LIMIT_S, environment: Mapping[str, str] | None = None) -> WorkerProcess:
        """A fresh process that has loaded nothing yet."""
        root = {"root": self.root} if self.root else {}
        return WorkerProcess(self.name, limit_s, environment=environment, python=self.python, **root)

    def load_request(self, device: str, threads: int | None) -> tuple[Any, ...]:
        """The arguments of a worker's ``load``."""
        arguments = (self.runtime, self.artifact, device, dict(self.options), threads)
        # Workers of older commits take neither the hash nor the size, or only the width.
        if self.lines:
            height, width = self.lines
            return (*arguments, self.sha256, width, *([height] if height != BUILT_IN.height else []))
        return (*arguments, self.sha256) if self.sha256 else arguments


def check_outputs(workload: Workload, outputs: np.ndarray, lines: int) -> None:
    """Refuse outputs of a worker for so many lines, see ``accuracy.check_outputs``.

    Raises:
        UnsoundError: they are not log probabilities or texts of that many lines.
    """
    try:
        accuracy.check_outputs(outputs, lines, workload.alphabet, workload.time_steps)
    except ValueError as error:
        raise UnsoundError(f"{workload.name}: {error}") from None


Reply = tuple[np.ndarray, list[float], int | None]
"""Log probabilities of all lines (N, T, C), seconds of each batch that was read for them, number of threads."""


class Reading(NamedTuple):
    """What a worker made of the lines that it kept.

    Attributes:
        evaluation: of its outputs.
        batch_seconds: seconds of each batch that was not read before, in order.
        threads: number of threads that computed; None if the system does not tell.
    """

    evaluation: Evaluation
    batch_seconds: list[float]
    threads: int | None


def reading(workload: Workload, reply: Reply, lines: Lines) -> Reading:
    """Evaluate what a worker read.

    Raises:
        UnsoundError: the outputs are not finite, are not log probabilities, or have the wrong shape.
    """
    log_probs, seconds, threads = reply
    check_outputs(workload, log_probs, len(lines))
    return Reading(evaluate(log_probs, lines, workload.alphabet), seconds, threads)


def read_all(worker: WorkerProcess, workload: Workload, lines: Lines, batch_size: int) -> Reading:
    """Have a loaded worker read lines, and evaluate its outputs.

    Raises:
        WorkerError: the worker failed.
        UnsoundError: the outputs cannot be trusted.
    """
    worker.ask("keep", *lines.at(workload.frame))
    batches, seconds, threads = worker.ask("outputs", batch_size)
    return reading(workload, (np.concatenate(batches)[: len(lines)], seconds, threads), lines)


@dataclass(frozen=True)
class Run:
    """A worker that has read the whole test split; studies time it afterwards.

    Attributes:
        worker: its process.
        evaluation: of the whole test split.
        untimed: seconds of the worker's calls outside of timed blocks, by batch size.
    """

    worker: WorkerProcess
    evaluation: Evaluation
    untimed: defaultdict[int, list[float]]


@contextmanager
def evaluated(
    workload: Workload, corpus: Corpus, *, threads: int | None = None, batch_size: int = EVALUATED_BATCH_SIZE
) -> Iterator[Run]:
    """Start a worker on the CPU, have it read the test split, and stop it in the end.

    Args:
        workload: what the worker runs.
        corpus: its test split is read.
        threads: number of threads; None for the engine's default.
        batch_size: lines per call.

    Raises:
        WorkerError: the worker failed.
        UnsoundError: the outputs cannot be trusted.
    """
    with workload.process() as worker:
        worker.ask("load", *workload.load_request("cpu", threads))
        found = read_all(worker, workload, corpus.test, batch_size)
        yield Run(worker, found.evaluation, defaultdict(list, {batch_size: list(found.batch_seconds)}))
