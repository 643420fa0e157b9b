"""The machine's lock: only one run measures at a time, because two would disturb each other."""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

# Inherited by the processes that a measuring run starts: they belong to it.
_HELD_BY_PARENT = "CRNN_MEASURING"


class BusyError(RuntimeError):
    """Raised if another run is measuring; the message names its process, command and start."""


def lock_path() -> Path:
    """The lock file of this machine, independent of checkout and cache."""
    return Path(tempfile.gettempdir()) / "crnn-benchmarks.lock"


def _holder(note: Path) -> str:
    """The holder of the lock, as text."""
    try:
        said = json.loads(note.read_text("utf-8"))
        return f"process {said['process']}, {said['command']!r}, started {said['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown process"


@contextmanager
def measuring(wait: bool) -> Iterator[None]:
    """Hold the machine's lock.

    Args:
        wait: whether to wait until another run has finished.

    Raises:
        BusyError: another run is measuring, and ``wait`` is false.
    """
    from filelock import FileLock, Timeout

    if _HELD_BY_PARENT in os.environ:
        yield
        return
    path = lock_path()
    note, lock = path.with_suffix(".json"), FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if not wait:
            raise BusyError(
                f"another run is measuring on this machine ({_holder(note)}); wait for it with --if-busy wait"
            ) from None
        print(f"waiting: {_holder(note)} is measuring on this machine", file=sys.stderr)  # noqa: T201 a long wait
        lock.acquire()
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        note.write_text(json.dumps({"process": os.getpid(), "command": shlex.join(sys.argv), "started": started}))
        os.environ[_HELD_BY_PARENT] = str(os.getpid())
        yield
    finally:
        os.environ.pop(_HELD_BY_PARENT, None)
        note.unlink(missing_ok=True)
        lock.release()
