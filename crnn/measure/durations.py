"""How long rows took in earlier runs, and the time left of this one.

A visit is a sequence of consecutive benchmarks of one variant; its kind names them. During a visit, processes of later
rows are measured too: each row is charged for its own.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

BUILDING = "building"
"""How the activity of a conversion begins, where progress is reported."""

# Longer is no duration of a visit: the file is damaged.
_LONGEST_S = 1e7


class Key(NamedTuple):
    """A visit: the variant, or the test if it has none, and the kind."""

    name: str
    kind: str


def spoken(seconds: float) -> str:
    """Seconds for a reader: ``21 s``, ``14 min``, ``2 h 05 min``."""
    if seconds < 89.5:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _numbers(content: Any) -> dict[str, dict[str, dict[str, float]]]:
    """What is usable of a file's content: settings -> name -> kind -> seconds."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for settings, names in content.items() if isinstance(content, dict) else ():
        for name, kinds in names.items() if isinstance(names, dict) else ():
            for kind, seconds in kinds.items() if isinstance(kinds, dict) else ():
                if type(seconds) in {int, float} and 0 <= seconds <= _LONGEST_S:
                    found.setdefault(settings, {}).setdefault(name, {})[kind] = float(seconds)
    return found


def _read(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """The usable content; empty if the file is missing or damaged, because nothing depends on it but an estimate."""
    try:
        return _numbers(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def _mean(seconds: Sequence[float]) -> float:
    # Importing ``statistics`` takes longer than collecting a file of benchmarks.
    return sum(seconds) / len(seconds)


class Accounts:
    """Seconds of each row, whichever visit they belong to, and of conversions."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Start without charging a row.

        Args:
            now: seconds from any moment on.
        """
        self._now, self._since_s, self._payer = now, now(), ""
        self._spent: defaultdict[str, float] = defaultdict(float)

    def charge(self, name: str, activity: str = "") -> None:
        """Charge a row from now on; conversions are charged to no row, because later runs find them in the cache."""
        now_s = self._now()
        self._spent[self._payer] += now_s - self._since_s
        self._since_s, self._payer = now_s, BUILDING if activity.startswith(BUILDING) else name

    def spent_s(self, name: str) -> float:
        """Seconds of a row so far; of ``BUILDING``: of conversions."""
        return self._spent[name] + (self._now() - self._since_s if name == self._payer else 0.0)

    def settle_s(self, name: str) -> float:
        """Return these seconds and reset them to zero."""
        seconds = self.spent_s(name)
        self._spent[name], self._since_s = 0.0, self._now() if name == self._payer else self._since_s
        return seconds


class Durations:
    """Seconds of earlier visits, in a file."""

    def __init__(self, path: Path, settings: str) -> None:
        """Read the file, which need not exist.

        Args:
            path: the JSON file.
            settings: of this run; only runs with the same settings tell how long it takes.
        """
        self._path, self._settings = path, settings

    def earlier(self) -> dict[Key, float]:
        """Seconds of the latest visit of each kind; 0 for a row that could not run here."""
        names = _read(self._path).get(self._settings, {})
        return {Key(name, kind): seconds for name, kinds in names.items() for kind, seconds in kinds.items()}

    def keep(self, key: Key, seconds: float) -> None:
        """Save the seconds of a finished visit. A file that cannot be written is no reason to stop measuring."""
        # Read again: another run may have written since.
        content = _read(self._path)
        content.setdefault(self._settings, {}).setdefault(key.name, {})[key.kind] = round(seconds, 3)
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")
            temporary.replace(self._path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


class TimeLeft:
    """Estimates the rest of a run from earlier runs, and from what this run took so far."""

    def __init__(self, guesses: Mapping[Key, float], earlier: Mapping[Key, float]) -> None:
        """Expect what earlier runs took.

        Args:
            guesses: seconds of each planned visit if nothing is known.
            earlier: seconds of earlier visits, 0 for those that could not run.
        """
        self._known = guesses.keys() & earlier.keys()
        self._guessed: set[Key] = set()
        self._expected: dict[Key, float] = {}
        self._taken: dict[Key, float] = {}
        for key, guess in guesses.items():
            alike = [seconds for other, seconds in earlier.items() if other.kind == key.kind and seconds]
            if key not in earlier and not alike:
                self._guessed.add(key)
            self._expected[key] = earlier[key] if key in earlier else _mean(alike) if alike else guess

    @property
    def unknown(self) -> set[Key]:
        """Planned visits that no earlier run had."""
        return self._expected.keys() - self._known

    def finished(self, key: Key, seconds: float) -> None:
        """Learn from a visit that measured something; failed and skipped ones tell nothing about others."""
        self._taken[key] = seconds

    def _scale(self, guessed: bool) -> float:
        """Seconds taken / seconds expected so far, of guesses or of the others."""
        done = [key for key in self._taken if (key in self._guessed) == guessed]
        expected = sum(self._expected[key] for key in done)
        # As if one more visit, of mean length, had taken what was expected: a single one says little about the rest,
        # and one whose work an earlier run did within another row, says nothing.
        alike = [seconds for key, seconds in self._expected.items() if (key in self._guessed) == guessed and seconds]
        one = _mean(alike or [0.0])
        if not expected + one:
            return 1.0
        return (sum(self._taken[key] for key in done) + one) / (expected + one)

    def estimate_s(self, key: Key) -> float:
        """Expected seconds of one planned visit."""
        guessed = key in self._guessed
        alike = [seconds for other, seconds in self._taken.items() if other.kind == key.kind]
        # Visits of this run say more than a guess.
        return _mean(alike) if guessed and alike else self._expected[key] * self._scale(guessed)

    def left_s(self, remaining: Iterable[Key], spent_s: Callable[[str], float] = lambda _: 0.0) -> float:
        """Expected seconds until the end, never negative.

        Args:
            remaining: planned visits that have not ended.
            spent_s: seconds that were already spent on a row.
        """
        return sum(max(0.0, self.estimate_s(key) - spent_s(key.name)) for key in remaining)
