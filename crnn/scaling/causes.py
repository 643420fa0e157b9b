"""Why the time of a call is no straight line: experiments that switch one cause off.

    python -m crnn.scaling.causes run NAME     # all of them without a name; a few minutes each, on an idle machine

Each experiment measures one row twice in the same minutes, with the cause and without it, and one number that says how
strongly the time departs from a line. If the cause explains it, that number falls when the cause is switched off.
Writes ``causes.json``.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from crnn import registry
from crnn.artifacts import cache_folder
from crnn.corpus import open_corpus
from crnn.corpus.lines import Corpus
from crnn.measure.batch_sizes import built_for
from crnn.measure.conversions import ready
from crnn.measure.fingerprint import fingerprint
from crnn.measure.latency import Plan, Side, run_pairs
from crnn.measure.lock import measuring
from crnn.measure.speedup import Estimate, over_processes
from crnn.measure.workload import Workload
from crnn.runtimes.process import WorkerProcess

KEPT = Path(__file__).with_name("causes.json")
_PLAN = Plan(warmup_s=0.05, pairs=3, block_s=0.05, most_pairs=5, budget_s=0.4)
_PROCESSES = 6

Seconds = Mapping[int, float]
"""Seconds per call by batch size."""


def growth(seconds: Seconds) -> float:
    """Seconds per line at the largest size / the least seconds per line at any size: above 1, batches cost."""
    per_line = [second / size for size, second in seconds.items()]
    return per_line[-1] / min(per_line)


def gain(seconds: Seconds) -> float:
    """Seconds per line at the smallest size / at the largest: how much of a call is no work on its lines."""
    smallest, largest = min(seconds), max(seconds)
    return (seconds[smallest] / smallest) / (seconds[largest] / largest)


def unsaved(seconds: Seconds) -> float:
    """Seconds per line at the largest size / at the smallest: 1 where a batch saves nothing."""
    return 1 / gain(seconds)


@dataclass(frozen=True)
class Way:
    """How one side of an experiment runs the row.

    Attributes:
        label: in the table.
        row: its name in the registry.
        environment: environment variables of its process.
        threads: number of threads; None: the engine's default.
        split: lines per call into which the caller splits a batch; None: not at all.
    """

    label: str
    row: str
    environment: Mapping[str, str] = field(default_factory=dict)
    threads: int | None = None
    split: int | None = None


@dataclass(frozen=True)
class Cause:
    """One experiment.

    Attributes:
        name: for the command line.
        engine: whose time it explains.
        question: what is asked, in a sentence.
        number: says how strongly the time departs from a line.
        sizes: lines per call, ascending.
        there: with the cause.
        off: without it.
    """

    name: str
    engine: str
    question: str
    number: Callable[[Seconds], float]
    sizes: tuple[int, ...]
    there: Way
    off: Way


# Keep freed memory instead of giving it back to the system after each call.
_KEEPS_MEMORY = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184"}

CAUSES = (
    Cause(
        "allocator",
        "PyTorch",
        "Does eager PyTorch get slower per line because each call maps fresh memory for its activations?",
        growth,
        (1, 2, 4, 8, 16, 32, 64, 128),
        Way("the system's allocator: large blocks are unmapped after each call", "torch-original"),
        Way("glibc keeps freed memory", "torch-original", environment=_KEEPS_MEMORY),
    ),
    Cause(
        "weight-reads",
        "LiteRT",
        "Does a batch save nothing in LiteRT's LSTMs because it reads the weights again for each line?",
        unsaved,
        (1, 2, 4, 8, 16, 32),
        Way("LSTMs line after line (as converted)", "litert-fp32-as-converted"),
        Way("LSTMs with all lines per time step (time-major)", "litert-fp32"),
    ),
    Cause(
        "threads",
        "OpenVINO",
        "Does a line cost more in small batches because two threads cannot share it well?",
        gain,
        (1, 2, 4, 8, 16, 32, 64),
        Way("two threads", "ov-int8"),
        Way("one thread", "ov-int8", threads=1),
    ),
    Cause(
        "cache",
        "ONNX Runtime",
        "Do large batches cost more per line because their activations do not fit into the caches?",
        growth,
        (1, 2, 4, 8, 16, 32, 64, 128, 256),
        # Freed memory is kept on both sides: mapping it again is another cause.
        Way("one call", "ort-rewritten-int8", environment=_KEEPS_MEMORY),
        Way("calls of 8 lines", "ort-rewritten-int8", environment=_KEEPS_MEMORY, split=8),
    ),
    Cause(
        "framework",
        "TensorFlow",
        "Is the fixed cost of a call that of the framework, operator by operator?",
        gain,
        (1, 2, 4, 8, 16, 32),
        Way("eager: operator by operator", "tf-original-eager"),
        Way("one graph", "tf-original"),
    ),
)


def _workload(way: Way, corpus: Corpus, sizes: Sequence[int], folder: Path) -> Workload:
    variant = registry.get(way.row)
    asked = sorted({way.split or size for size in sizes} | set(sizes))
    return Workload.of(variant, built_for(ready(variant, corpus), asked, folder), corpus)


def _calls(way: Way, size: int) -> tuple[int, int]:
    """Lines per call, and number of calls, in which a batch is read."""
    lines = min(way.split or size, size)
    return lines, size // lines


def _one_pair(cause: Cause, workloads: Sequence[Workload], corpus: Corpus, number: int) -> list[dict[int, float]]:
    """Seconds per batch by size, with the cause and without it, from a pair of fresh processes."""
    ways, found = (cause.there, cause.off), [dict[int, float](), dict[int, float]()]
    draws = random.Random(number)

    def started(way: Way, workload: Workload) -> WorkerProcess:
        return workload.process(environment=way.environment)

    with started(ways[0], workloads[0]) as one, started(ways[1], workloads[1]) as other:
        for worker, way, workload in zip((one, other), ways, workloads, strict=True):
            worker.ask("load", *workload.load_request("cpu", way.threads))
            worker.ask("keep", corpus.test.images[:512], corpus.test.kinds[:512])
        for size in draws.sample(cause.sizes, len(cause.sizes)):
            calls = [_calls(way, size) for way in ways]
            sides = [Side(worker, lines) for worker, (lines, _) in zip((one, other), calls, strict=True)]
            for side in sides:
                side.warm_up(_PLAN.warmup_s, _PLAN.block_s)
                side.worker.ask("settle")
            run_pairs(sides if number % 2 == 0 else sides[::-1], _PLAN)
            for seconds, side, (_, count) in zip(found, sides, calls, strict=True):
                seconds[size] = count * median(median(block) for block in side.blocks)
    return [dict(sorted(seconds.items())) for seconds in found]


def run(cause: Cause) -> dict[str, Any]:
    """Measure one experiment on an idle machine; returns what ``causes.json`` holds of it."""
    corpus = open_corpus(None)
    with measuring(wait=False), tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        places = [Path(folder) / name for name in ("there", "off")]
        for place in places:
            place.mkdir()
        workloads = [
            _workload(way, corpus, cause.sizes, place)
            for way, place in zip((cause.there, cause.off), places, strict=True)
        ]
        pairs = [_one_pair(cause, workloads, corpus, number) for number in range(_PROCESSES)]
    return {
        "fingerprint": fingerprint(),
        "sizes": list(cause.sizes),
        "seconds": {
            side: [[round(pair[at][size], 7) for size in cause.sizes] for pair in pairs]
            for at, side in enumerate(("there", "off"))
        },
    }


@dataclass(frozen=True)
class Found:
    """What an experiment gave.

    Attributes:
        there: the number with the cause, over processes.
        off: without it.
        change: the second / the first, paired by process.
    """

    there: Estimate
    off: Estimate
    change: Estimate

    @property
    def shrinks(self) -> bool:
        """Whether the number is lower without the cause, with 95 % confidence."""
        return self.change.interval is not None and self.change.interval[1] < 1


def found(cause: Cause, kept: Mapping[str, Any]) -> Found:
    """The number of an experiment on both sides, from what ``causes.json`` holds of it."""
    there, off = (
        [cause.number(dict(zip(kept["sizes"], seconds, strict=True))) for seconds in kept["seconds"][side]]
        for side in ("there", "off")
    )
    changes = [without / with_it for with_it, without in zip(there, off, strict=True)]
    return Found(over_processes(there), over_processes(off), over_processes(changes))


def main() -> None:
    """Run experiments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(cause.name for cause in CAUSES))
    asked = parser.parse_args().names
    kept = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    for cause in CAUSES:
        if not asked or cause.name in asked:
            kept[cause.name] = run(cause)
            result = found(cause, kept[cause.name])
            print(f"{cause.name}: {result.there.value:.3f} with it, {result.off.value:.3f} without")  # noqa: T201 a command
            KEPT.write_text(json.dumps(kept) + "\n", "utf-8")


if __name__ == "__main__":
    main()
