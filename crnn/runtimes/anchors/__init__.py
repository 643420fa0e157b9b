"""Anchors: one fixed workload an engine, which the gate times beside every variant.

What drifts on a machine drifts for both, so the ratio of variant to anchor is what
is compared from run to run. An anchor has the variants' shape, for only then does it
drift alike, and shares no code with the variants, so what makes those slower cannot
make the anchor slower too. Its weights are random. Changing one of these files makes
saved ratios incomparable; the SHA-256 of the file is saved with them.
"""

from collections.abc import Iterable

import numpy as np

from crnn.runtimes import base


class Anchor(base.Runtime):
    """A runtime that is only timed: it reads no artifact, and nothing of it is counted."""

    def parameters(self) -> Iterable[np.ndarray]:
        """None."""
        return ()

    def multiply_adds(self) -> int:
        """None."""
        return 0
