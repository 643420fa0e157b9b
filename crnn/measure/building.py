"""Run commands and show their progress while they run."""

import codecs
import os
import re
import selectors
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import IO, Self, cast

# After an interrupt, a build removes its temporary files before it ends.
_GRACE_S = 5.0
_MOST_CHARACTERS = 80
_BYTES = 1 << 16
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class _Shown:
    """Passes the last line of growing text on; a progress bar rewrites its line with carriage returns."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show, self._line, self._shown = show, "", ""

    def add(self, text: str) -> None:
        """Show the last line that is not empty, if it is another one."""
        lines = re.split(r"[\r\n]+", self._line + text)
        self._line = lines[-1][-_BYTES:]
        cleaned = (" ".join(_ESCAPES.sub("", line).split()) for line in reversed(lines))
        last = next(filter(None, cleaned), "")[:_MOST_CHARACTERS]
        if last and last != self._shown:
            self._shown = last
            self._show(last)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the process and its children, as Ctrl-C would; kill them if they do not end."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _final(text: str) -> str:
    """The text as a terminal shows it in the end: without what carriage returns overwrite."""
    return "\n".join(line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n"))


class _Stream:
    """What comes out of one pipe of a command, as text."""

    def __init__(self, pipe: IO[bytes], show: Callable[[str], None]) -> None:
        self.pipe, self._show, self._parts = pipe, show, list[str]()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> bool:
        """Read what is there; returns False at its end."""
        data = os.read(self.pipe.fileno(), _BYTES)
        self._parts.append(self._decoder.decode(data, final=not data))
        self._show(self._parts[-1])
        return bool(data)

    @property
    def text(self) -> str:
        """All of it so far."""
        return _final("".join(self._parts))


class _Running:
    """A command that runs; leaving the context before it has ended stops it."""

    def __init__(self, command: Sequence[str], cwd: Path, show: Callable[[str], None]) -> None:
        pipe = subprocess.PIPE
        # In a process group of its own, a Ctrl-C in the terminal reaches the command once: through ``_stop``.
        self._process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, process_group=0
        )
        output, errors = cast("tuple[IO[bytes], IO[bytes]]", (self._process.stdout, self._process.stderr))
        self.output, self.errors = _Stream(output, lambda _: None), _Stream(errors, _Shown(show).add)
        self._ended = False

    def finished(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end, after its pipes have been read."""
        status = self._process.wait()
        self._ended = True
        return subprocess.CompletedProcess(self._process.args, status, self.output.text, self.errors.text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended:
            _stop(self._process)
        self.output.pipe.close()
        self.errors.pipe.close()


def run_shown(
    commands: Sequence[Sequence[str]], cwd: Path, show: Callable[[int, str], None]
) -> list[subprocess.CompletedProcess[str]]:
    """Run commands at the same time, each to its end, like ``subprocess.run`` with captured output.

    Args:
        commands: program and arguments of each.
        cwd: working directory.
        show: called with a command's position and the latest line of its standard error, at most 80 characters,
            whenever it changes. If it raises, or on Ctrl-C, all commands are stopped.

    Returns:
        Exit status and output of each. Of lines that carriage returns overwrite, the last state is kept; bytes that
        are not UTF-8 are replaced.
    """
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        running = [
            stack.enter_context(_Running(command, cwd, partial(show, at))) for at, command in enumerate(commands)
        ]
        for command in running:
            for stream in (command.output, command.errors):
                selector.register(stream.pipe, selectors.EVENT_READ, stream)
        # Reading whichever pipe has something, so that none fills up and blocks its command.
        while selector.get_map():
            for ready, _ in selector.select():
                if not ready.data.read():
                    selector.unregister(ready.fileobj)
        return [command.finished() for command in running]
