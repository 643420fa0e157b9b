"""The registry of rows. Nothing else lists variants."""

import fnmatch
from collections.abc import Iterable, Sequence
from pathlib import Path

from crnn.registry import rows
from crnn.registry.given import GivenModel
from crnn.registry.plugins import PluginError, Registry
from crnn.registry.variant import Thresholds, Variant

_REGISTRY = Registry(rows.VARIANTS)
VARIANTS: Sequence[Variant] = _REGISTRY
"""All rows, in the table's order; those of other packages and of a user's file come last."""

__all__ = [
    "VARIANTS",
    "PluginError",
    "Thresholds",
    "Variant",
    "ancestors",
    "faults",
    "get",
    "matching",
    "names",
    "original_of",
    "originals",
    "use_file",
    "use_models",
]


def use_file(path: Path) -> None:
    """Add the rows of a user's file, here and in the processes that this one starts.

    Raises:
        PluginError: there is no such file, it raises, or its rows cannot be added.
    """
    _REGISTRY.use(path)


def use_models(models: Sequence[GivenModel]) -> None:
    """Add the rows of users' models, here and in the processes that this one starts.

    Raises:
        PluginError: there is a row of such a name already.
    """
    _REGISTRY.use_models(models)


def faults() -> list[str]:
    """Why rows of other packages are missing, a message each.

    Raises:
        PluginError: a user's file cannot be added.
    """
    _REGISTRY.complete()
    return _REGISTRY.faults


def names() -> tuple[str, ...]:
    """All names, in the table's order."""
    return tuple(variant.name for variant in VARIANTS)


def get(name: str) -> Variant:
    """The variant of that name.

    Raises:
        LookupError: there is no such variant; the message lists the names.
    """
    for variant in VARIANTS:
        if variant.name == name:
            return variant
    raise LookupError(f"no variant {name!r}; there are: {', '.join(names())}")


def matching(patterns: Iterable[str]) -> tuple[Variant, ...]:
    """The variants that match any of the shell-style patterns, in the table's order.

    Raises:
        LookupError: a pattern matches none; the message lists the names.
    """
    patterns = list(patterns)
    for pattern in patterns:
        if not fnmatch.filter(names(), pattern):
            raise LookupError(f"no variant matches {pattern!r}; there are: {', '.join(names())}")
    return tuple(v for v in VARIANTS if any(fnmatch.fnmatchcase(v.name, pattern) for pattern in patterns))


def originals() -> tuple[Variant, ...]:
    """The variants without a parent, in the table's order."""
    return tuple(variant for variant in VARIANTS if variant.parent is None)


def original_of(variant: Variant) -> Variant:
    """The trained original that the variant descends from; itself for an original."""
    return (variant, *ancestors(variant))[-1]


def ancestors(variant: Variant) -> tuple[Variant, ...]:
    """Parent, grandparent and so on, up to the original."""
    line = []
    while variant.parent is not None:
        variant = get(variant.parent)
        line.append(variant)
    return tuple(line)
