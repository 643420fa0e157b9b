"""Rows of other packages, of a user's own file, and of users' models (``given.py``).

A package declares them as an entry point of the group ``crnn.variants``, a user names a file with ``--registry``.
Either gives rows (``Variant``), an iterable of rows, or a module whose attributes are rows. They are looked for when
the registry is first read, so workers, which read none, import none of them.
"""

import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, overload

from crnn.registry import given
from crnn.registry.variant import Variant

GROUP = "crnn.variants"
"""The group of entry points."""
ENVIRONMENT = "CRNN_REGISTRY"
"""Holds the path of a user's file, so that the processes that we start read it too."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")


class PluginError(LookupError):
    """Raised for rows that cannot be added; the message says whose and why."""


def _rows_of(found: Any, known: Iterable[Variant]) -> list[Variant]:
    """The rows that an entry point or a file gives; rows that it only imports are not its own.

    Raises:
        PluginError: it gives something else.
    """
    if isinstance(found, Variant):
        return [found]
    if isinstance(found, ModuleType):
        ours = list(known)
        return [one for one in vars(found).values() if isinstance(one, Variant) and not any(one is row for row in ours)]
    rows = list(found) if isinstance(found, Iterable) else [found]
    for one in rows:
        if not isinstance(one, Variant):
            raise PluginError(f"expected rows (crnn.registry.Variant), found {type(one).__name__}")
    return rows


def _from_file(path: Path) -> ModuleType:
    """Run a user's file; recipes and engines beside it can be imported then, here and in processes that we start."""
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if folder not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, paths), folder])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise PluginError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


class Registry(Sequence[Variant]):
    """All rows: this project's, those of other packages, those of a user's file.

    Attributes:
        faults: why rows of other packages are missing, a message each.
    """

    def __init__(self, rows: Sequence[Variant]) -> None:
        """Start with this project's rows; others are added when they are first read."""
        self._rows, self._complete = tuple(rows), False
        self.faults: list[str] = []

    def complete(self) -> tuple[Variant, ...]:
        """All rows; the first call looks for those of others.

        Raises:
            PluginError: a user's file cannot be added.
        """
        if not self._complete:
            self._complete = True  # what is loaded now may read the registry itself
            for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda point: point.name):
                try:
                    self._add(point.load, f"entry point {point.name} of {point.dist.name if point.dist else '?'}")
                except PluginError as error:
                    self.faults.append(str(error))
            if named := os.environ.get(ENVIRONMENT):
                self._add_file(Path(named))
            if given.ENVIRONMENT in os.environ:
                self._add(given.given, "--model")
        return self._rows

    def use(self, path: Path) -> None:
        """Add the rows of a user's file, in this process and in those that it starts.

        Raises:
            PluginError: there is no such file, it raises, or its rows cannot be added.
        """
        os.environ[ENVIRONMENT] = str(path.resolve())
        if self._complete:
            self._add_file(path.resolve())

    def use_models(self, models: Sequence[given.GivenModel]) -> None:
        """Add the rows of users' models, in this process and in those that it starts.

        Raises:
            PluginError: there is a row of such a name already.
        """
        given.use(models)
        if self._complete:
            self._add(given.given, "--model")

    def _add_file(self, path: Path) -> None:
        if not path.is_file():
            raise PluginError(f"--registry {path}: no such file")
        self._add(lambda: _from_file(path), f"--registry {path}")

    def _add(self, load: Callable[[], Any], source: str) -> None:
        try:
            rows = _rows_of(load(), self._rows)
        except PluginError as error:
            raise PluginError(f"{source}: {error}") from None
        except Exception as error:
            # Another's code may raise anything; the cause stays attached.
            raise PluginError(f"{source} cannot be loaded: {type(error).__name__}: {error}") from error
        if not rows:
            raise PluginError(f"{source} gives no rows")
        names = [row.name for row in self._rows]
        for row in rows:
            if not _NAME.fullmatch(row.name):
                raise PluginError(f"{source}: {row.name!r} is no name of a row: use lower case, digits, - and .")
            if row.name in names:
                raise PluginError(f"{source}: there is a row {row.name!r} already")
            names.append(row.name)
        for row in rows:
            if row.parent is not None and row.parent not in names:
                raise PluginError(f"{source}: {row.name} is made from {row.parent!r}, which does not exist")
        self._rows += tuple(rows)

    def __len__(self) -> int:
        return len(self.complete())

    def __iter__(self) -> Iterator[Variant]:
        return iter(self.complete())

    @overload
    def __getitem__(self, index: int) -> Variant: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Variant, ...]: ...
    def __getitem__(self, index: int | slice) -> Variant | tuple[Variant, ...]:
        return self.complete()[index]
