"""Options of recipes and engines: keyword-only parameters, checked before any work starts."""

import inspect
import typing
from collections.abc import Callable, Iterable
from typing import Any


class OptionError(ValueError):
    """Raised for an option that a recipe or an engine does not have; the message lists those that it has."""


def known_options(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a function's keyword-only parameters, including those of ``**given: Unpack[...]``.

    Raises:
        TypeError: the function accepts any keyword, so a misspelt one would go unnoticed.
    """
    names: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            names.append(parameter.name)
        elif parameter.kind is parameter.VAR_KEYWORD:
            if typing.get_origin(parameter.annotation) is not typing.Unpack:
                raise TypeError(f"{function.__qualname__} takes any keyword: name them, or annotate them with Unpack")
            names += typing.get_args(parameter.annotation)[0].__annotations__
    return tuple(sorted(names))


def check_options(function: Callable[..., Any], given: Iterable[str], subject: str) -> None:
    """Refuse options that a function does not have.

    Args:
        function: a recipe, or an engine's ``load``.
        given: the names of the options.
        subject: names the function in the message, such as ``recipe crnn.optimize.clustering:cluster``.

    Raises:
        OptionError: an option is unknown.
    """
    known = known_options(function)
    if unknown := sorted(set(given) - set(known)):
        raise OptionError(
            f"{subject} has no option {', '.join(map(repr, unknown))}; it has {', '.join(known) or 'none'}"
        )
