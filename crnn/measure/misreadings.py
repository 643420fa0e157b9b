"""Which lines are read worst, and which characters are taken for which."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from crnn.text import prefix_distances

WORST, MOST_CONFUSIONS = 8, 30
"""Numbers of lines and of confusions that are kept."""


def alignment(label: str, text: str) -> list[tuple[str, str]]:
    """The characters of a label beside those that were read, with the fewest edits; empty where one has none."""
    # From the end of both back to their beginnings.
    table = prefix_distances(label, text)
    pairs, row, column = list[tuple[str, str]](), len(label), len(text)
    while row or column:
        edits = table[row][column]
        if row and column and edits == table[row - 1][column - 1] + (label[row - 1] != text[column - 1]):
            row, column = row - 1, column - 1
            pairs.append((label[row], text[column]))
        elif row and edits == table[row - 1][column] + 1:
            row -= 1
            pairs.append((label[row], ""))
        else:
            column -= 1
            pairs.append(("", text[column]))
    return pairs[::-1]


def worst_lines(edits: np.ndarray, labels: Sequence[str], texts: Sequence[str]) -> list[dict[str, str | int]]:
    """The lines with the most edits, the longer label first: position in the split, label, text and edits.

    Args:
        edits: int (N,), Levenshtein distance per line.
        labels: N texts as written.
        texts: N texts as read.
    """
    wrong = [int(line) for line in edits.nonzero()[0]]
    wrong.sort(key=lambda line: (-int(edits[line]), -len(labels[line]), line))
    return [
        {"line": line, "label": labels[line], "text": texts[line], "edits": int(edits[line])} for line in wrong[:WORST]
    ]


def confusions(labels: Sequence[str], texts: Sequence[str]) -> list[tuple[str, str, int]]:
    """The most frequent edits: a character of a label, what was read for it, and how often; empty: none."""
    found = Counter(
        (expected, actual)
        for label, text in zip(labels, texts, strict=True)
        if label != text
        for expected, actual in alignment(label, text)
        if expected != actual
    )
    ordered = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
    return [(expected, actual, count) for (expected, actual), count in ordered[:MOST_CONFUSIONS]]
