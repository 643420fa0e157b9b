"""Anchors: one fixed workload per engine, which the gate times together with every variant.

Drift of the machine affects both, so the gate compares the ratio of variant to anchor from run
to run. An anchor has the shape of the CRNN, because only then does it drift alike. It shares no
code with the variants, so a change that slows them down does not slow the anchor down. Its
weights are random. The SHA-256 of an anchor's file is saved with the ratios: changing the file
makes saved ratios incomparable.
"""

from crnn.runtimes import base


class Anchor(base.Runtime):
    """A runtime that is only timed. It loads no artifact and is its own anchor."""

    distributions = ()
    anchor = __name__
