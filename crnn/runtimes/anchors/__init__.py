"""Anchors: one fixed workload per engine, and one for small models, which are timed together with the variants.

Drift of the machine affects both, so the ratio of variant to anchor is what compares: between runs
in the gate, where each engine has its own anchor, and between rows, which all share one. An anchor
has the shape of the CRNN, because only then does it drift alike. It shares no code with the
variants, so a change that slows them down does not slow the anchor down. Its weights are random.
The SHA-256 of an anchor's file is saved with the ratios: changing the file makes saved ratios
incomparable. So anchors share no code with each other either: no hash would show its changes.
"""

from crnn.runtimes import base


class Anchor(base.Runtime):
    """A runtime that is only timed. It loads no artifact and is its own anchor."""

    distributions = ()
    anchor = __name__


SMALL = f"{__name__}.small_anchor"
"""Module of the anchor of small models, whose time drifts as little as theirs."""

# Fastest first: calls of the anchor take part of each row's time.
_SHARED = ("onnx", "litert", "tensorflow", "torch")


def shared_anchor() -> str:
    """Module of the anchor that all rows are paired with: the fastest one whose framework is installed.

    Raises:
        LookupError: no framework is installed.
    """
    for engine in _SHARED:
        module = f"{__name__}.{engine}_anchor"
        if not base.missing(module):
            return module
    raise LookupError("no framework is installed: see requirements.txt")
