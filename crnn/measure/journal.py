"""The journal of a run: each finished benchmark is on the disk before the next one starts.

A file of JSON lines, one file per checkout. The first line holds the version and the settings of the
run. Each of the others is a benchmark, or says that the run was resumed.
"""

import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

VERSION = 1
_VERSION_KEY, _RESUMED_KEY = "journal_version", "resumed"
_START_ANEW = "start a new run without --resume"
_CODE = ("crnn/**/*.py", "fixtures/*.py", "benchmarks/*.py", "conftest.py", "pytest.ini")
_TESTS = "crnn/tests/"


class JournalError(ValueError):
    """A journal that cannot be read or written; the message names the file and the remedy."""


def now() -> str:
    """The time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def place(root: Path, cache: Path) -> Path:
    """The journal of a checkout: not in the repository, and still there after a reboot."""
    return cache / "journals" / f"{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]}.jsonl"


def commit_of(root: Path, ref: str = "HEAD") -> str | None:
    """The commit that a name stands for; None if there is none, or no repository."""
    command = ["git", "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def sources_of(root: Path) -> dict[str, str]:
    """A digest of each file of the code that measures, committed or not; by the file's path."""
    files = {path.relative_to(root).as_posix(): path for pattern in _CODE for path in root.glob(pattern)}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for name, path in sorted(files.items())
        if not name.startswith(_TESTS)
    }


@dataclass(frozen=True)
class Entry:
    """A finished benchmark.

    Attributes:
        test: its full name.
        group: of its table.
        iterations: number of calls per round.
        seconds: of each round, as pytest-benchmark keeps them.
        extra_info: its records.
        measured_at: UTC.
        part: number of the session that measured it; 1 for the first.
    """

    test: str
    group: str | None
    iterations: int
    seconds: list[float]
    extra_info: dict[str, Any]
    measured_at: str
    part: int


@dataclass
class Journal:
    """A journal on the disk, as far as it is intact.

    Attributes:
        path: of the file.
        settings: what must be the same when the run is resumed.
        defaults: options that a resumed run takes over unless they are given.
        parts: when each session started, UTC.
        entries: in the order of measurement.
        end: number of intact bytes.
        torn: whether the last line was cut off.
    """

    path: Path
    settings: dict[str, Any]
    defaults: dict[str, Any]
    parts: list[str]
    entries: list[Entry] = field(default_factory=list)
    end: int = 0
    torn: bool = False

    def _write(self, line: Mapping[str, Any]) -> None:
        """Append a line, in place of whatever follows the intact ones.

        Raises:
            JournalError: it cannot be written; the lines before it are still intact.
        """
        try:
            data = _encode(line)
            with self.path.open("r+b", buffering=0) as file:
                file.seek(self.end)
                # An entry that was cut off would damage the one after it.
                file.truncate()
                _store(file, data)
        except (OSError, TypeError, ValueError) as error:
            raise JournalError(f"{self.path} cannot be written: {error}") from None
        self.end += len(data)

    def resume(self) -> None:
        """Start another part.

        Raises:
            JournalError: it cannot be written.
        """
        started = now()
        self._write({_RESUMED_KEY: started})
        self.parts.append(started)
        self.torn = False

    def append(self, entry: Entry) -> None:
        """Add a benchmark; it is on the disk on return.

        Raises:
            JournalError: it cannot be written.
        """
        self._write(asdict(entry))
        self.entries.append(entry)

    def finish(self) -> None:
        """Remove the journal of a complete run."""
        self.path.unlink(missing_ok=True)


def _encode(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line).encode("ascii") + b"\n"


def _store(file: BinaryIO, data: bytes) -> None:
    """Write with one call and have it stored: a run that is killed leaves all of it or a torn end."""
    if file.write(data) != len(data):
        raise OSError("the disk is full")
    os.fsync(file.fileno())


def create(path: Path, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> Journal:
    """Start a journal; one that is there already is replaced.

    Raises:
        JournalError: it cannot be written.
    """
    started = now()
    header = _encode({_VERSION_KEY: VERSION, "started": started, "settings": settings, "defaults": defaults})
    temporary = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb", buffering=0) as file:
            _store(file, header)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            # The name has to outlast a power failure, too.
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise JournalError(f"{path} cannot be written: {error}") from None
    return Journal(path, dict(settings), dict(defaults), [started], end=len(header))


def _lines(path: Path) -> tuple[list[bytes], bytes]:
    """The complete lines of a journal, and what follows the last of them."""
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        raise JournalError(f"there is no unfinished run of this checkout (no {path}); {_START_ANEW}") from None
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from None
    return lines, rest


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line's object; None if the line is damaged."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _damaged(path: Path, number: int) -> JournalError:
    if number == 1:
        return JournalError(f"{path} is no journal: its first line is damaged; {_START_ANEW}")
    return JournalError(
        f"{path}, line {number} is damaged: delete the line to measure its benchmark again, or {_START_ANEW}"
    )


def _entry(value: Mapping[str, Any]) -> Entry:
    """A benchmark's line.

    Raises:
        TypeError: a key is missing or unknown, or a value has the wrong type.
    """
    entry = Entry(**value)
    numbers = isinstance(entry.seconds, list) and all(isinstance(second, float | int) for second in entry.seconds)
    texts = isinstance(entry.test, str) and isinstance(entry.measured_at, str)
    counts = isinstance(entry.iterations, int) and isinstance(entry.part, int)
    if not (numbers and entry.seconds and texts and counts and isinstance(entry.extra_info, dict)):
        raise TypeError("a value has the wrong type")
    return entry


def _header(path: Path, line: bytes) -> Journal:
    """The journal of a header, without entries."""
    header = _parsed(line) or {}
    version = header.get(_VERSION_KEY)
    if version is not None and version != VERSION:
        raise JournalError(
            f"{path} has version {version}, this suite reads version {VERSION}: resume it with the suite that "
            f"started it, or {_START_ANEW}"
        )
    try:
        return Journal(path, dict(header["settings"]), dict(header["defaults"]), [header["started"]])
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, 1) from None


def read(path: Path) -> Journal:
    """Read a journal. A last line that was cut off is left out, and overwritten by the next one.

    Raises:
        JournalError: there is none, it has another version, or a line before the last one is damaged.
    """
    lines, rest = _lines(path)
    if not lines:
        raise _damaged(path, 1)
    journal = _header(path, lines[0])
    journal.end, journal.torn = len(lines[0]) + 1, bool(rest)
    known: set[str] = set()
    for number, line in enumerate(lines[1:], 2):
        value = _parsed(line)
        if value is None and number == len(lines) and not rest:
            # After a power failure, any part of the last line may be missing, not only its end.
            journal.torn = True
            break
        try:
            if value is not None and _RESUMED_KEY in value:
                journal.parts.append(value[_RESUMED_KEY])
            else:
                entry = _entry(value or {})
                if entry.test in known or not 1 <= entry.part <= len(journal.parts):
                    raise TypeError("not as it was written")
                known.add(entry.test)
                journal.entries.append(entry)
        except TypeError:
            raise _damaged(path, number) from None
        journal.end += len(line) + 1
    return journal


def hold(path: Path) -> BinaryIO | None:
    """Reserve a journal for this process until the file is closed; None if another process has reserved it.

    Raises:
        JournalError: the lock cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_suffix(".lock").open("ab")
    except OSError as error:
        raise JournalError(f"{path.with_suffix('.lock')} cannot be written: {error.strerror}") from None
    try:
        # Released by the system if the process is killed.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
