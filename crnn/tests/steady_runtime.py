"""An engine whose calls take one millisecond unless ``CRNN_SLOWED`` names it."""

import os
import time
from pathlib import Path

from crnn.registry.variant import Thresholds, Variant
from crnn.runtimes import noop_runtime

STEADY = Variant(
    "steady",
    "",
    "",
    framework="torch",
    runtime="crnn.tests.steady_runtime",
    suffix=".nothing",
    thresholds=Thresholds(parameters=0, macs=0, max_bytes=0, max_peak_memory_bytes=0),
)
"""A row of this engine."""


def write_nothing(build):
    """A recipe that writes a placeholder."""
    build.target.write_bytes(b"nothing")
    return {}


def _is_slow():
    """Whether the slowed variant is slow: for ever, or in its first loads, such as ``FILE:5``; the file counts them."""
    file, _, most = os.environ.get("CRNN_SLOW_LOADS", "").rpartition(":")
    if not file:
        return True
    with Path(file).open("ab") as counter:
        counter.write(b".")
    return Path(file).stat().st_size <= int(most)


class Runtime(noop_runtime.Runtime):
    """Option ``name``: the variant's name; the variant named by ``CRNN_SLOWED`` takes 20 % longer.

    Option ``from_lines``: only batches of so many lines do.
    """

    anchor = "crnn.tests.steady_runtime"

    def load(self, path, device, *, name=None, from_lines=1):
        super().load(path, device)
        slowed = name == os.environ.get("CRNN_SLOWED", "nobody") and _is_slow()
        self._slowed_from = from_lines if slowed else float("inf")

    def __call__(self, images, field):
        until = time.monotonic() + (0.001 if len(images) < self._slowed_from else 0.0012)
        while time.monotonic() < until:
            pass
        return super().__call__(images, field)
