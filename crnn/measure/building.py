"""Run a command and show its progress while it runs."""

import codecs
import os
import re
import selectors
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

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


def _final(text: str) -> str:
    """The text as a terminal shows it in the end: without what carriage returns overwrite."""
    return "\n".join(line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n"))


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


def run_shown(command: Sequence[str], cwd: Path, show: Callable[[str], None]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, like ``subprocess.run`` with captured output.

    Args:
        command: program and arguments.
        cwd: working directory.
        show: called with the latest line of standard error, at most 80 characters, whenever it changes. If it
            raises, or on Ctrl-C, the command is stopped.

    Returns:
        Exit status and output. Of lines that carriage returns overwrite, the last state is kept; bytes that are
        not UTF-8 are replaced.
    """
    texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
    decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in texts}
    shown = _Shown(show)
    # In a process group of its own, a Ctrl-C in the terminal reaches the command once: through ``_stop``.
    with (
        subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        ) as process,
        selectors.DefaultSelector() as selector,
    ):
        try:
            for name in texts:
                stream: IO[bytes] = getattr(process, name)
                selector.register(stream, selectors.EVENT_READ, name)
            # Reading whichever pipe has something, so that neither fills up and blocks the command.
            while selector.get_map():
                for ready, _ in selector.select():
                    data = os.read(ready.fd, _BYTES)
                    text = decoders[ready.data].decode(data, final=not data)
                    texts[ready.data].append(text)
                    if ready.data == "stderr":
                        shown.add(text)
                    if not data:
                        selector.unregister(ready.fileobj)
            process.wait()
        except BaseException:
            _stop(process)
            raise
    output, errors = (_final("".join(parts)) for parts in texts.values())
    return subprocess.CompletedProcess(list(command), process.returncode, output, errors)
