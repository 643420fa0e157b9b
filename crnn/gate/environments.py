"""The Python environment of another commit: its own packages, where ``requirements.txt`` differs."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from crnn.artifacts import cache_folder
from crnn.gate.runs import RunError

_FILE = "requirements.txt"
_DONE = "complete"


def requirements(tree: Path) -> list[str]:
    """The lines of a checkout's requirements, sorted, without comments; empty without the file."""
    try:
        rows = (tree / _FILE).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    return sorted(filter(None, (row.partition(" #")[0].strip() for row in rows if not row.startswith("#"))))


def differing(ours: list[str], theirs: list[str]) -> str:
    """The lines that only one of two lists has, such as ``torch==2.12.0 (here torch==2.13.0)``."""

    def package(row: str) -> str:
        return row.partition(";")[0].partition("==")[0].strip() + row.partition(";")[2]

    here = {package(row): row for row in ours if row not in theirs}
    there = {package(row): row for row in theirs if row not in ours}
    rows = (f"{there.get(name, 'nothing')} (here {here.get(name, 'nothing')})" for name in sorted(here | there))
    return ", ".join(rows)


def python_of(tree: Path, root: Path, name: str) -> str:
    """The interpreter that runs a checkout: this one if it requires the same packages, else one with its own.

    Its environment lies in the cache folder and is made once.

    Args:
        tree: the checkout.
        root: this checkout.
        name: of the checkout, for messages.

    Raises:
        RunError: the packages cannot be installed; the message names those that differ.
    """
    from filelock import FileLock

    ours, theirs = requirements(root), requirements(tree)
    if ours == theirs or not theirs:
        return sys.executable
    key = hashlib.sha256("\n".join([platform.python_version(), *theirs]).encode()).hexdigest()[:16]
    folder = cache_folder() / "environments" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    with FileLock(f"{folder}.lock"):
        if not (folder / _DONE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            what = f"--against: {name} requires {differing(ours, theirs)}, which cannot be installed"
            _run([sys.executable, "-m", "venv", str(folder)], what)
            options = ("--quiet", "--disable-pip-version-check", "-r", str(tree / _FILE))
            _run([str(python), "-m", "pip", "install", *options], what)
            (folder / _DONE).touch()
    return str(python)


def _run(command: list[str], what: str) -> None:
    # Packages of this environment must not count as installed in the other one.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RunError(f"{what}: {(done.stderr or done.stdout).strip()[-1000:]}")
