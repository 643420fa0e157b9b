"""The order in which the processes of all rows are measured."""

from collections import Counter
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.measure.schedule import due


def visit_all(rows, processes, ahead):
    """Visit the rows in order; returns the row of each process, with the index of the visit that it was in."""
    done, measured = Counter(), []
    for index, visited in enumerate(rows):
        # As in a session, each process is counted before the next one is due.
        for row in chain(due(rows, visited, processes, done.__getitem__, ahead), [visited]):
            done[row] += 1
            measured.append((row, index))
    return measured


rows = st.lists(st.text(min_size=1), unique=True, min_size=1)


@given(rows, st.integers(1, 4), st.integers(1, 4))
def test_each_row_gets_its_processes(rows, processes, ahead):
    """After the last visit each row has been measured as often as asked for, and never after its own visit."""
    measured = visit_all(rows, processes, ahead)

    assert Counter(row for row, _ in measured) == dict.fromkeys(rows, processes)
    assert [(row, index) for row, index in measured if index > rows.index(row)] == []


@given(st.integers(12, 30), st.integers(2, 4), st.integers(1, 3))
def test_processes_are_some_visits_apart(count, processes, ahead):
    """Where enough rows come before a row, its processes are that many visits apart."""
    rows = [str(index) for index in range(count)]
    measured = visit_all(rows, processes, ahead)
    late = rows[(processes - 1) * ahead :]
    visits = {row: [index for name, index in measured if name == row] for row in late}

    assert {later - earlier for found in visits.values() for earlier, later in pairwise(found)} == (
        {ahead} if late else set()
    )


def test_a_row_that_failed_is_left_out():
    """A row that needs no further process is not due."""
    assert list(due(["a", "b", "c"], "a", 3, {"a": 0, "b": 3, "c": 0}.__getitem__)) == ["a", "c", "a", "c"]


@pytest.mark.parametrize("visited", ["a", "b"])
def test_one_process_is_measured_in_its_own_visit(visited):
    """With one process per row, nothing is measured ahead."""
    assert list(due(["a", "b"], visited, 1, lambda _: 0)) == []
