"""The process that runs one variant, and times it.

Started fresh for each variant, it loads only that variant's framework, keeps the
lines, times itself around the call and hands back seconds. Nothing else in the
suite reads a clock to measure a variant.

    python -m crnn.runtimes.worker DESCRIPTOR    # started by process.py, not by hand
"""

import resource
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from crnn.corpus.lines import model_inputs
from crnn.runtimes.base import Runtime, runtime_class

# Thread pools spin for a while after a call. A process counts as idle once it has used less
# than this share of a core over one window.
_IDLE_SHARE, _IDLE_WINDOW_S, _IDLE_LIMIT_S = 0.1, 0.004, 1.0


def timed_call(runtime: Runtime, images: np.ndarray, field: np.ndarray) -> tuple[float, np.ndarray]:
    """Seconds of one synchronised call, and what it answered. The one function that times any runtime."""
    start = time.perf_counter_ns()
    log_probs = runtime(images, field)
    seconds = (time.perf_counter_ns() - start) * 1e-9
    if type(log_probs) is not np.ndarray or log_probs.dtype != np.float32:
        # A framework's own array may be a promise: work that goes on after the clock was read.
        raise TypeError(f"the runtime answered {type(log_probs).__name__}, expected a float32 numpy array")
    # As it is now: an array that a thread of the runtime goes on filling would look right later.
    return seconds, log_probs.copy()


def peak_memory_bytes() -> int:
    """Largest resident set of this process so far.

    Linux' own mark is reset by ``exec``; ``getrusage`` would carry over the parent's.
    """
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except FileNotFoundError:
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return next(int(row.split()[1]) * 1024 for row in status.splitlines() if row.startswith("VmHWM"))


class Worker:
    """What the parent process may ask for; each method is one request."""

    _runtime: Runtime
    _images: np.ndarray
    _kinds: np.ndarray

    def load(
        self, runtime: str, path: str, device: str, options: dict[str, Any], threads: int | None = None
    ) -> dict[str, Any]:
        """Load the artifact; its seconds, imports included, and what runs it."""
        start = time.perf_counter()
        self._runtime = runtime_class(runtime)()
        self._runtime.threads = threads
        self._runtime.load(Path(path), device, **options)
        return {"load_s": time.perf_counter() - start} | self._runtime.describe()

    def keep(self, images: np.ndarray, kinds: np.ndarray) -> None:
        """Keep lines: images uint8 (N, 32, 400), kinds uint8 (N,)."""
        self._images, self._kinds = images, kinds

    def _batch(self, start: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The inputs of ``size`` lines from ``start`` on; the lines wrap around."""
        rows = np.arange(start, start + size) % len(self._images)
        return model_inputs(self._images[rows], self._kinds[rows])

    def judge(self, batch_size: int) -> tuple[np.ndarray, list[float]]:
        """Log probabilities (N, 50, C) of all lines, and the seconds of each batch; the first call comes first.

        The last batch is filled up with the first lines: some engines are made for one batch size.
        """
        answers, seconds = [], []
        for start in range(0, len(self._images), batch_size):
            second, log_probs = timed_call(self._runtime, *self._batch(start, batch_size))
            seconds.append(second)
            answers.append(log_probs)
        return np.concatenate(answers)[: len(self._images)], seconds

    def time(self, batch_size: int, start: int, calls: int) -> tuple[list[float], list[np.ndarray]]:
        """Seconds and answers of consecutive calls on successive batches from line ``start`` on."""
        batches = [self._batch(start + index * batch_size, batch_size) for index in range(calls)]
        seconds, answers = zip(*(timed_call(self._runtime, *batch) for batch in batches), strict=True)
        return list(seconds), list(answers)

    def settle(self) -> float:
        """Wait until this process is idle, for a second at most; how long it took."""
        start = time.perf_counter()
        while time.perf_counter() - start < _IDLE_LIMIT_S:
            used, at = time.process_time(), time.perf_counter()
            time.sleep(_IDLE_WINDOW_S)
            if time.process_time() - used < _IDLE_SHARE * (time.perf_counter() - at):
                break
        return time.perf_counter() - start

    def footprint(self) -> dict[str, int]:
        """Parameters, multiply-adds of a line."""
        stored = nonzero = 0
        for array in self._runtime.parameters():
            stored += array.size
            nonzero += int(np.count_nonzero(array))
        return {
            "parameters_stored": stored,
            "parameters_nonzero": nonzero,
            "multiply_adds_per_line": self._runtime.multiply_adds(),
        }

    def peak_memory(self) -> int:
        """Bytes, see ``peak_memory_bytes``."""
        return peak_memory_bytes()


def serve(connection: Connection) -> None:
    """Answer requests until the parent is gone. A failure is answered with its traceback."""
    worker = Worker()
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        answer: tuple[Any, ...]
        try:
            answer = ("answer", getattr(worker, method)(*arguments))
        except Exception as error:  # noqa: BLE001 whatever a framework raises, the parent raises again
            answer = ("error", f"{type(error).__name__}: {error}", traceback.format_exc())
        connection.send(answer)


if __name__ == "__main__":
    # Ctrl-C is the parent's to handle: it ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])))
