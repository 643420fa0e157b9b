"""What the calls of several processes give together."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crnn.measure.replicate import outputs_so_far


def processes(calls, lines):
    """Processes whose output for a line is the line's number plus a thousandth of the batch size."""
    found = []
    for sizes in calls:
        at = {}
        for size, starts in sizes.items():
            numbers = {start: np.arange(start, start + size) % lines + size / 1000 for start in starts}
            outputs = {start: values[:, None, None].astype(np.float32) for start, values in numbers.items()}
            at[size] = SimpleNamespace(side=SimpleNamespace(outputs=outputs))
        found.append(SimpleNamespace(sizes=at))
    return found


def sizes_of_a_process(lines):
    """Batch sizes of one process, and the first lines of its calls, which may go beyond the last line."""
    starts = st.lists(st.integers(0, 2 * lines), min_size=1, unique=True)
    return st.dictionaries(st.integers(1, 8), starts, min_size=1)


@given(st.integers(1, 20).flatmap(lambda n: st.tuples(st.just(n), st.lists(sizes_of_a_process(n), min_size=1))))
def test_each_line_has_its_own_output(case):
    """A line is known if a call that began before the end read it; its output is that line's."""
    lines, calls = case
    sizes = sorted({size for process in calls for size in process}, reverse=True)
    log_probs, known = outputs_so_far(processes(calls, lines), sizes, lines)
    read = {
        line
        for process in calls
        for size, starts in process.items()
        for start in starts
        if start < lines
        for line in range(start, min(start + size, lines))
    }

    assert set(np.flatnonzero(known)) == read
    assert np.array_equal(np.floor(log_probs[known, 0, 0]), np.flatnonzero(known))


def test_the_preferred_batch_size_counts():
    """Where calls of two sizes read a line, the size that comes first in the list counts."""
    log_probs, known = outputs_so_far(processes([{1: [0, 1], 4: [0]}], 6), [4, 1], 6)

    assert known.tolist() == [True] * 4 + [False] * 2
    assert np.allclose(log_probs[:4, 0, 0], [0.004, 1.004, 2.004, 3.004])


def test_other_batch_sizes_do_not_count():
    """Calls at a size that is not asked for leave no line known."""
    assert not outputs_so_far(processes([{1: [0, 1]}], 6), [4], 6)[1].any()
