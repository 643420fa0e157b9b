"""The order in which the processes of all rows are measured.

A row is visited once: its last process is measured then. Its earlier ones are measured during the visits of
rows before it, some visits apart, so that a row's processes cover several moments of the machine.
"""

from collections.abc import Callable, Iterator, Sequence

# With three processes a row takes about half a minute, so a row's processes cover about five minutes.
AHEAD = 5
"""Number of visits between two processes of a row, and between further ones of a reference."""


def due(
    rows: Sequence[str], visited: str, processes: int, measured: Callable[[str], int], ahead: int = AHEAD
) -> Iterator[str]:
    """The rows of which one process each is measured before the visited row's last one, in this order.

    Args:
        rows: in the order of their visits.
        visited: one of them.
        processes: per row.
        measured: tells how many processes of a row have been measured, or are not needed any more.
        ahead: number of visits between two processes of a row.
    """
    place = rows.index(visited)
    for rank in range(1, processes):
        # Rows up to so many visits later need their first ``rank`` processes now.
        for row in rows[place : place + (processes - rank) * ahead + 1]:
            if measured(row) < rank:
                yield row


def first_line(number: int, processes: int, lines: int, batch_size: int) -> int:
    """The line at which a process of a row begins: other lines in each, where the evaluation has a batch.

    Args:
        number: of the process, from 0.
        processes: of the row.
        lines: that are evaluated.
        batch_size: of the evaluation.
    """
    share = number % processes * lines // processes
    return share // batch_size * batch_size
