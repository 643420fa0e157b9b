"""The declarations of the table's columns."""

from dataclasses import fields

import pytest

from crnn.gate.column import Column, Value
from crnn.gate.columns import IDENTITY
from crnn.gate.measures import MEASURES
from crnn.measure.records import Identity
from crnn.report.results import Results
from crnn.report.selection import known
from crnn.tests.saved_rows import FOOTPRINT, entries

DECLARED = [
    *((Identity, column) for column in IDENTITY),
    *((measure.record, column) for measure in MEASURES for column in measure.columns),
]


@pytest.mark.parametrize(("record", "column"), DECLARED, ids=[f"{r.__name__}-{c.key}" for r, c in DECLARED])
def test_columns_show_fields_of_their_record(record, column):
    """A column that reads no function has the fields of its value and of its interval."""
    needed = {column.field(part) for part in ("", *(("low", "high") if column.interval else ()))}

    assert needed <= {field.name for field in fields(record)} or column.read is not None


def test_keys_are_unique():
    """No two columns of a table have the same key."""
    keys = [placed.key for placed in known(Results.read(entries("mine")))]

    assert sorted(keys) == sorted(set(keys))


def test_raw_names_are_unique():
    """No two columns write the same key into JSON and CSV."""
    written = [name for placed in known(Results.read(entries("mine"))) for name in placed.raw(Value())]

    assert sorted(written) == sorted(set(written))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0000123, "0.0123"), (0.00123, "1.23"), (0.0123, "12.3"), (0.123, "123"), (1.234, "1,234"), (0.0, "0.00")],
)
def test_three_significant_digits(seconds, shown):
    """Without a format a number has three significant digits, and no exponent."""
    column = Column(key="ms", heading="ms", name="x", unit="s", scale=1e3)

    assert column.text(Value(seconds), FOOTPRINT) == shown


def test_the_shorter_form_never_understates_the_interval():
    """The number after ± is the distance to the farther end."""
    column = Column(key="x", heading="x", name="x", unit="s", form="+z,.2f", interval=True)

    assert column.text(Value(1.0, 0.9, 1.5), FOOTPRINT, short=True) == "+1.00 ±0.50"


def test_rounded_zeros_have_no_minus():
    """A difference that rounds to zero is not shown as a negative zero."""
    [column] = [column for _, column in DECLARED if column.key == "cer-difference"]

    assert column.text(Value(-0.000001, -0.000001, 0.0), FOOTPRINT) == "+0.00 [+0.00, +0.00]"
