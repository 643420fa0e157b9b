"""Anchors: one fixed workload per engine, which the gate times beside every variant.

What drifts on a machine drifts for both, so the ratio of variant to anchor is what is
compared from run to run. An anchor has the variants' shape, because only then does it
drift alike. It shares no code with the variants, so what slows those down cannot slow the
anchor down too. Its weights are random. Changing one of these files makes saved ratios
incomparable; the SHA-256 of the file is saved with them.
"""

from crnn.runtimes import base


class Anchor(base.Runtime):
    """A runtime that is only timed: it reads no artifact and is its own anchor."""

    distributions = ()
    anchor = __name__
