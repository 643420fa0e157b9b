"""The base of all records: a dataclass, and its form in the benchmark JSON.

The name of a field is its key in ``extra_info`` and ends in its unit. Saved runs are only read
through these classes.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self

from crnn.measure.packing import pack, unpack


class RecordError(ValueError):
    """Raised for a saved measurement that lacks a key or holds an unreadable array; the message names the key."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A measurement. None stands for a value that was not measured; it has no key in the JSON."""

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values, as ``extra_info`` holds them."""
        values = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None:
                dtype = item.metadata.get("dtype")
                values[item.name] = pack(value.astype(dtype)) if dtype else value
        return values

    @classmethod
    def from_json(cls, info: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; keys of other records are ignored.

        Raises:
            RecordError: a key is missing, or a packed array cannot be read.
        """
        values = {}
        for item in fields(cls):
            if item.name in info:
                value = info[item.name]
                try:
                    values[item.name] = unpack(value) if "dtype" in item.metadata else value
                except ValueError as error:
                    raise RecordError(f"{item.name}: {error}") from None
            elif item.default is MISSING and item.default_factory is MISSING:
                raise RecordError(f"no {item.name}")
        return cls(**values)

    @classmethod
    def marker(cls) -> str:
        """The key that only this measurement has: its first field."""
        return fields(cls)[0].name
