"""A worker that batches dynamically, in a thread of its own."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from crnn.scaling.service import Policy


class Batcher:
    """Collects lines, and reads them in batches by a policy, see ``service.Policy``. A context manager.

    A failure of ``read`` is raised when the context ends.
    """

    def __init__(self, read: Callable[[Sequence[Any]], None], policy: Policy) -> None:
        """Start nothing yet.

        Args:
            read: reads one batch of lines, given by what was passed to ``add``, and reports their results.
            policy: when a batch starts.
        """
        self._read, self._policy = read, policy
        self._waiting: deque[tuple[float, Any]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def add(self, line: Any) -> None:
        """A line has arrived."""
        with self._changed:
            self._waiting.append((time.monotonic(), line))
            self._changed.notify()

    def _next(self) -> list[Any]:
        """Wait for the next batch; empty once all is read and the context ends."""
        most = self._policy.most_lines
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if self._waiting:
                left = self._waiting[0][0] + self._policy.wait_s - time.monotonic()
                self._changed.wait_for(lambda: len(self._waiting) >= most or self._ended, timeout=max(0.0, left))
            return [self._waiting.popleft()[1] for _ in range(min(most, len(self._waiting)))]

    def _run(self) -> None:
        try:
            while batch := self._next():
                self._read(batch)
        except Exception as error:  # noqa: BLE001 raised again in the thread that waits for this one
            self._failure = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()
        if self._failure and error is None:
            raise self._failure
