"""Dependencies of a recipe's result: the project's modules that it imports, and the versions of packages."""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = __name__.partition(".")[0]


def _file_of(module: str) -> Path | None:
    """The source file of a module, found without importing it; None if there is no such module."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin).parent.joinpath(*inner)
    candidates = (place.with_suffix(".py"), place / "__init__.py") if inner else (Path(spec.origin),)
    return next((file for file in candidates if file.is_file()), None)


def _imported(source: Path) -> Iterator[str]:
    """The modules that a file imports anywhere; for ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def _closure(module: str) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The project's source files behind a module, its own included, and the other top-level modules they import."""
    own = module.partition(".")[0]
    waiting, files, others = [module], dict[str, Path](), set[str]()
    while waiting:
        name = waiting.pop()
        if name in files:
            continue
        top = name.partition(".")[0]
        if top not in (own, _PACKAGE):
            others.add(top)
        elif source := _file_of(name):
            files[name] = source
            waiting += _imported(source)
    return tuple(files[name] for name in sorted(files)), tuple(sorted(others - sys.stdlib_module_names))


def sources(module: str) -> tuple[Path, ...]:
    """The project's source files behind a module: its own, and those that it imports directly or indirectly."""
    return _closure(module)[0]


def sources_sha256(module: str) -> str:
    """SHA-256 of the content of ``sources``, in the order of the modules' names."""
    digest = hashlib.sha256()
    for source in sources(module):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def versions(module: str) -> dict[str, str]:
    """The installed packages that a module's ``sources`` import, with their versions."""
    found = {}
    for name in _closure(module)[1]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            # The distribution's name differs from the module's, or it is not installed.
            found |= {package: importlib.metadata.version(package) for package in _distributions().get(name, ())}
    return found
