"""The process that runs one variant, and times it.

It is started afresh for each variant, loads only that variant's framework, keeps the lines, times
its own calls and returns seconds. Nothing else in the suite reads a clock to measure a variant.

    python -m crnn.runtimes.worker DESCRIPTOR    # started by process.py, not by hand
"""

import hashlib
import itertools
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from crnn.corpus.lines import model_inputs
from crnn.formats.counts import Counts, count
from crnn.interface import BUILT_IN
from crnn.registry.options import check_options
from crnn.runtimes.base import Runtime, runtime_class
from crnn.runtimes.operators import Operator
from crnn.runtimes.threads import computing_threads, most_threads, read_threads
from crnn.text import best_path

# No library that a worker loads sends usage data: OpenVINO's does if this module can be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

# Thread pools spin for a while after a call. A process counts as idle once it has consumed less
# than this share of a core over one window.
_IDLE_SHARE, _IDLE_WINDOW_S, _IDLE_LIMIT_S = 0.1, 0.004, 1.0
# To count the threads that compute, calls are repeated for this many seconds, in this many windows.
_OBSERVED_S, _OBSERVED_WINDOWS = 0.05, 3


def timed_call(runtime: Runtime, images: np.ndarray, field: np.ndarray) -> tuple[float, np.ndarray]:
    """Seconds of one synchronised call, and its output. Every runtime is timed by this function."""
    start = time.perf_counter_ns()
    log_probs = runtime(images, field)
    seconds = (time.perf_counter_ns() - start) * 1e-9
    if type(log_probs) is not np.ndarray or log_probs.dtype not in (np.float32, np.object_):
        # A framework's own array may stand for work that continues after the clock is read.
        raise TypeError(f"the runtime returned {type(log_probs).__name__}, expected a float32 numpy array")
    # Copied now: an array that a thread of the runtime is still filling would look complete later.
    return seconds, log_probs.copy()


def _status_bytes(key: str) -> int | None:
    """A size from /proc/self/status; None if the system has no such file."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except FileNotFoundError:
        return None
    return next(int(row.split()[1]) * 1024 for row in status.splitlines() if row.startswith(key))


def peak_memory_bytes() -> int:
    """Peak resident memory of this process so far, in bytes.

    On Linux it is read from /proc, which resets it at ``exec``; ``getrusage`` would carry over the parent's.
    """
    scale = 1 if sys.platform == "darwin" else 1024
    return _status_bytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def resident_memory_bytes() -> int:
    """Resident memory of this process, in bytes; its peak so far where there is no /proc."""
    return _status_bytes("VmRSS") or peak_memory_bytes()


class Worker:
    """Handles the parent's requests; each method is one request."""

    _runtime: Runtime
    _images: np.ndarray
    _kinds: np.ndarray
    _path: Path

    def load(
        self,
        runtime: str,
        path: str,
        device: str,
        options: dict[str, Any],
        threads: int | None = None,
        sha256: str | None = None,
        width: int | None = None,
        height: int = BUILT_IN.height,
    ) -> dict[str, Any]:
        """Load the artifact.

        Args:
            runtime: the engine's name.
            path: the artifact; empty for an anchor.
            device: ``auto``, ``cpu`` or ``cuda``.
            options: options of the engine.
            threads: number of threads; None for the engine's default.
            sha256: of the artifact; None: no check.
            width: of the lines of a built-in model; None for the usual one.
            height: of these lines.

        Returns:
            ``load_s``, seconds including imports; ``built``, see ``base.Runtime``; the engine's description.

        Raises:
            OptionError: the engine has no such option.
            ValueError: the artifact has been replaced since it was verified.
        """
        self._path = Path(path)
        engine = runtime_class(runtime)
        check_options(engine.load, options, f"engine {runtime}")
        self._check(sha256)
        start = time.perf_counter()
        self._runtime = engine()
        self._runtime.threads = threads
        if width:
            self._runtime.interface = BUILT_IN.at_size(height, width)
        self._runtime.load(self._path, device, **options)
        load_s = time.perf_counter() - start
        # Check again: another environment may replace a file in a shared cache at any time.
        self._check(sha256)
        return {"load_s": load_s, "built": self._runtime.built} | self._runtime.describe()

    def _check(self, sha256: str | None) -> None:
        if sha256 and (actual := hashlib.sha256(self._path.read_bytes()).hexdigest()) != sha256:
            raise ValueError(f"{self._path} was replaced during the run: SHA-256 {actual}, verified {sha256}")

    def keep(self, images: np.ndarray, kinds: np.ndarray) -> None:
        """Keep lines for later requests: images uint8 (N, H, W), kinds uint8 (N,)."""
        self._images, self._kinds = images, kinds

    def _batch(self, start: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The inputs for ``size`` lines from line ``start`` on; the lines wrap around."""
        rows = np.arange(start, start + size) % len(self._images)
        return model_inputs(self._images[rows], self._kinds[rows])

    def outputs(
        self, batch_size: int, starts: Sequence[int] | None = None
    ) -> tuple[list[np.ndarray], list[float], int | None]:
        """Read batches of lines.

        The last batch is filled up with the first lines, because some engines are built for one batch size.

        Args:
            batch_size: lines per batch, B.
            starts: first line of each batch; by default all lines are read.

        Returns:
            Log probabilities of each batch (B, T, C), in order; seconds of each; number of threads that
            computed after the first call, None if the system does not tell.
        """
        outputs, seconds, windows = [], [], []
        for start in range(0, len(self._images), batch_size) if starts is None else starts:
            before = read_threads()
            second, log_probs = timed_call(self._runtime, *self._batch(start, batch_size))
            windows.append(computing_threads(before, read_threads()))
            seconds.append(second)
            outputs.append(log_probs)
        # The first call may compile or trace on threads that are not used afterwards.
        threads = most_threads(windows[1:] or windows)
        return outputs, seconds, threads

    def threads(self, batch_size: int) -> int | None:
        """Number of threads that compute in calls at this batch size; None if the system does not tell."""
        batch, windows = self._batch(0, batch_size), []
        timed_call(self._runtime, *batch)
        # A pool that loading started may still spin: it would look as if it computed.
        self.settle()
        for _ in range(_OBSERVED_WINDOWS):
            before, start = read_threads(), time.perf_counter()
            while time.perf_counter() - start < _OBSERVED_S:
                timed_call(self._runtime, *batch)
            windows.append(computing_threads(before, read_threads()))
        return most_threads(windows)

    def time(self, batch_size: int, start: int, calls: int) -> tuple[list[float], list[np.ndarray]]:
        """Seconds and outputs of consecutive calls, on successive batches from line ``start`` on."""
        batches = [self._batch(start + index * batch_size, batch_size) for index in range(calls)]
        seconds, outputs = zip(*(timed_call(self._runtime, *batch) for batch in batches), strict=True)
        return list(seconds), list(outputs)

    def settle(self) -> float:
        """Wait until this process is idle, for a second at most; returns the seconds waited."""
        start = time.perf_counter()
        while time.perf_counter() - start < _IDLE_LIMIT_S:
            used, at = time.process_time(), time.perf_counter()
            time.sleep(_IDLE_WINDOW_S)
            if time.process_time() - used < _IDLE_SHARE * (time.perf_counter() - at):
                break
        return time.perf_counter() - start

    def count(self, format_name: str) -> Counts:
        """Parameters and MACs of the artifact, counted on the file. Done here because it imports the framework."""
        return count(self._path, format_name, self._runtime.interface)

    def profile(self, batch_size: int, calls: int) -> list[Operator]:
        """The operators that the engine runs for a batch of the first lines; see ``base.Runtime.profile``."""
        return self._runtime.profile(*self._batch(0, batch_size), calls)

    def prepare(self, batch_sizes: Sequence[int]) -> None:
        """Call once per batch size on blank lines: engines that compile or trace do it now."""
        for size in batch_sizes:
            blank = np.zeros((size, self._runtime.interface.height, self._runtime.interface.width), np.uint8)
            self._runtime(*model_inputs(blank, np.zeros(size, np.uint8)))

    def read_files(
        self, paths: Sequence[str], kinds: Sequence[int], alphabet: str
    ) -> list[tuple[float, float, float, float, str]]:
        """Read image files, one line at a time.

        Args:
            paths: of the images.
            kinds: of their lines.
            alphabet: the characters that the model reads.

        Returns:
            Of each file: seconds to read and decode it, to scale it to the model's input, of the model, and to decode
            its output; the text.
        """
        from crnn.corpus import images

        frame, found = self._runtime.interface.frame, []
        for path, kind in zip(paths, kinds, strict=True):
            times = [time.perf_counter()]
            with images.opened(Path(path)) as picture:
                grey = images.grey(picture)
            times.append(time.perf_counter())
            # (H, W) -> (1, H, W)
            inputs = model_inputs(images.fitted(grey, *frame)[None], np.array([kind], np.uint8))
            times.append(time.perf_counter())
            _, output = timed_call(self._runtime, *inputs)
            times.append(time.perf_counter())
            text = str(output[0]) if output.dtype == np.object_ else best_path(output, alphabet)[0]
            times.append(time.perf_counter())
            decode, scale, model, ctc = (end - start for start, end in itertools.pairwise(times))
            found.append((decode, scale, model, ctc, text))
        return found

    def memory(self) -> tuple[int, int]:
        """Resident memory now, and its peak so far, in bytes."""
        return resident_memory_bytes(), peak_memory_bytes()


def serve(connection: Connection) -> None:
    """Serve requests until the parent closes the connection. A failure is returned with its traceback."""
    worker = Worker()
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        reply: tuple[Any, ...]
        try:
            reply = ("result", getattr(worker, method)(*arguments))
        except Exception as error:  # noqa: BLE001 the parent raises it again
            reply = ("error", f"{type(error).__name__}: {error}", traceback.format_exc())
        connection.send(reply)


if __name__ == "__main__":
    # The parent handles Ctrl-C and stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])))
