"""Measure the ratios of some rows in turn, for so many minutes, and add them to a file."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

from crnn import registry
from crnn.corpus import open_corpus
from crnn.corpus.lines import Lines
from crnn.measure.conversions import ready
from crnn.measure.workload import Workload

Kept = dict[str, dict[str, list[float]]]
"""Ratios by row, and by how they were measured."""


def add_rounds(kept: Path, description: str, measured: Callable[[Workload, Lines, int], dict[str, float]]) -> Kept:
    """Measure the rows of the command line, and return all that the file then holds.

    Args:
        kept: the file.
        description: of the command.
        measured: the ratios of a row, from its workload, the lines and the number of the round.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("rows", help="comma-separated names")
    parser.add_argument("--minutes", type=float, required=True)
    given = parser.parse_args()
    corpus = open_corpus(None)
    lines = corpus.test.take(range(256))
    found: Kept = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    until, order = time.monotonic() + 60 * given.minutes, 0
    while time.monotonic() < until:
        for name in given.rows.split(","):
            variant = registry.get(name)
            for how, ratio in measured(Workload.of(variant, ready(variant, corpus), corpus), lines, order).items():
                found.setdefault(name, {}).setdefault(how, []).append(round(ratio, 6))
        kept.write_text(json.dumps(found) + "\n", "utf-8")
        order += 1
    return found
