"""One run measures on a machine at a time: two at once would measure each other."""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

# Handed to the processes that a measuring run starts: they are part of it.
_HELD_BY_PARENT = "CRNN_MEASURING"


class BusyError(RuntimeError):
    """Another run is measuring; the message names its process, command and start."""


def lock_path() -> Path:
    """The lock file of this machine, whatever the checkout and the cache."""
    return Path(tempfile.gettempdir()) / "crnn-benchmarks.lock"


def _holder(note: Path) -> str:
    """Who holds the lock, in words."""
    try:
        said = json.loads(note.read_text("utf-8"))
        return f"process {said['process']}, {said['command']!r}, started {said['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown process"


@contextmanager
def measuring(wait: bool) -> Iterator[None]:
    """Hold the machine's lock.

    Args:
        wait: until another run has finished; otherwise it is an error.

    Raises:
        BusyError: another run is measuring.
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
