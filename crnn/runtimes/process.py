"""The parent's side of a worker: start it, send requests, detect its death."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_ROOT = Path(__file__).parents[2]


class WorkerError(RuntimeError):
    """Raised for a worker that raised, crashed or hung; the message ends with its last output."""


class WorkerProcess:
    """A fresh process that runs one variant; its requests are the methods of ``worker.Worker``.

    Use it as a context manager, or call ``stop``.
    """

    def __init__(
        self,
        name: str,
        limit_s: float = 300.0,
        root: Path = _ROOT,
        environment: Mapping[str, str] | None = None,
        python: str | None = None,
    ) -> None:
        """Start the process.

        Args:
            name: the variant's name, for messages.
            limit_s: seconds after which a request counts as hung.
            root: the checkout whose code it runs.
            environment: environment variables to set for it.
            python: the interpreter; None for this one.
        """
        self.name, self._limit_s = name, limit_s
        self._dead: str | None = None
        self._asked: deque[str] = deque()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as the worker
        ours, theirs = socket.socketpair()
        paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [python or sys.executable, "-m", "crnn.runtimes.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | dict(environment or {}),
            # With -m the working directory comes first on the path, so it has to be that checkout.
            cwd=root,
        )
        theirs.close()
        self._connection = Connection(ours.detach())

    @property
    def process_id(self) -> int:
        """The worker's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still accepts requests."""
        return self._dead is None

    def ask(self, method: str, *arguments: Any) -> Any:
        """Have the worker run one of its methods.

        Raises:
            WorkerError: it raised, died, or did not reply in time; in the latter two cases it is stopped.
        """
        self.begin(method, *arguments)
        return self.finish()

    def begin(self, method: str, *arguments: Any) -> None:
        """Send a request without waiting, so that other workers can start meanwhile; ``finish`` returns the reply.

        Several requests may be sent; ``finish`` returns their replies in this order.

        Raises:
            WorkerError: it is dead.
        """
        if self._dead:
            raise WorkerError(f"{self.name}: its worker died earlier: {self._dead}")
        self._asked.append(method)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # finish reports how it ended
            self._connection.send((method, arguments))

    def finish(self) -> Any:
        """Wait for the reply to the oldest request of ``begin``; raises the same as ``ask``."""
        method = self._asked.popleft()
        try:
            if not self._connection.poll(self._limit_s):
                self._process.kill()
                self._fail(f"no reply to {method!r} within {self._limit_s:g} s; it was killed")
            reply = self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._fail(f"{method!r} ended with {self._exit_in_words()}")
        if reply[0] == "error":
            raise WorkerError(f"{self.name}: {reply[1]}\n{reply[2]}")
        return reply[1]

    def pin(self, core: int) -> None:
        """Pin all of its current and future threads to one core; Linux only."""
        for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # the thread has just ended
                os.sched_setaffinity(int(thread.name), {core})

    def _exit_in_words(self) -> str:
        code = self._process.wait()
        if code >= 0:
            return f"exit status {code}"
        name = signal.Signals(-code).name
        return f"{name} (out of memory?)" if name == "SIGKILL" else name

    def _fail(self, reason: str) -> None:
        self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()[-15:]
        self._dead = reason
        self.stop()
        raise WorkerError("\n".join([f"{self.name}: the worker died: {reason}", *said]))

    def stop(self) -> None:
        """Stop the worker; it may already be dead."""
        self._connection.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
