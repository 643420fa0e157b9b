"""What a worker runs, and a worker that has evaluated it. Only this module has workers read the test split."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crnn.artifacts import sha256_of
from crnn.corpus.lines import Corpus
from crnn.measure.accuracy import Evaluation, evaluate
from crnn.registry.variant import Variant
from crnn.runtimes.process import WorkerProcess

EVALUATED_BATCH_SIZE = 128
LIMIT_S = 300.0


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
    """

    name: str
    runtime: str
    artifact: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    root: Path | None = None
    sha256: str | None = None

    @classmethod
    def of(cls, variant: Variant, artifact: Path) -> "Workload":
        """A variant with its verified artifact."""
        path = artifact.resolve()
        return cls(variant.name, variant.runtime, str(path), variant.runtime_options, sha256=sha256_of(path))

    def process(self, limit_s: float = LIMIT_S, environment: Mapping[str, str] | None = None) -> WorkerProcess:
        """A fresh process that has loaded nothing yet."""
        root = {"root": self.root} if self.root else {}
        return WorkerProcess(self.name, limit_s, environment=environment, **root)

    def load_request(self, device: str, threads: int | None) -> tuple[Any, ...]:
        """The arguments of a worker's ``load``."""
        arguments = (self.runtime, self.artifact, device, dict(self.options), threads)
        # Workers of older commits do not take the hash.
        return (*arguments, self.sha256) if self.sha256 else arguments


@dataclass(frozen=True)
class Run:
    """A worker that has read the whole test split, ready to be timed.

    Attributes:
        worker: its process.
        load_s: seconds to load, imports included.
        engine: name and version.
        device: the device that it runs on.
        threads: number of threads that computed while it read the split; None if the system does not tell.
        evaluation: of the whole test split.
        batch_seconds: seconds of each batch of the split, in order.
        peak_memory_bytes: peak resident memory of the worker after reading the split.
        untimed: seconds of the worker's calls outside of timed blocks, by batch size: those of the
            evaluation, and the warm-up calls for each variant that is compared with it.
    """

    worker: WorkerProcess
    load_s: float
    engine: str
    device: str
    threads: int | None
    evaluation: Evaluation
    batch_seconds: list[float]
    peak_memory_bytes: int
    untimed: defaultdict[int, list[float]]


def start(
    workload: Workload,
    corpus: Corpus,
    *,
    device: str = "cpu",
    threads: int | None = None,
    batch_size: int = EVALUATED_BATCH_SIZE,
    limit_s: float = LIMIT_S,
) -> Run:
    """Start a worker, load the artifact, read the test split and evaluate the outputs.

    Args:
        workload: what the worker runs.
        corpus: its test split is read.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: number of threads; None for the engine's default.
        batch_size: lines per call.
        limit_s: seconds after which a worker without a reply counts as hung.

    Returns:
        The run; the caller stops its worker.

    Raises:
        WorkerError: the worker failed.
        UnsoundError: the outputs are not finite, are not log probabilities, or have the wrong shape.
    """
    with ExitStack() as stack:
        worker = stack.enter_context(workload.process(limit_s))
        loaded = worker.ask("load", *workload.load_request(device, threads))
        worker.ask("keep", corpus.test.images, corpus.test.kinds)
        log_probs, seconds, computing = worker.ask("outputs", batch_size)
        peak = worker.ask("peak_memory")
        try:
            evaluation = evaluate(log_probs, corpus.test, corpus.alphabet)
        except ValueError as error:
            raise UnsoundError(f"{workload.name}: {error}") from None
        stack.pop_all()  # sound: the worker stays alive
    untimed = defaultdict(list, {batch_size: list(seconds)})
    described = (loaded["load_s"], loaded["engine"], loaded["device"], computing)
    return Run(worker, *described, evaluation, seconds, peak, untimed)


@contextmanager
def evaluated(workload: Workload, corpus: Corpus, **settings: Any) -> Iterator[Run]:
    """``start`` as a context manager, which stops the worker."""
    run = start(workload, corpus, **settings)
    try:
        yield run
    finally:
        run.worker.stop()
