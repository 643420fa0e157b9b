"""An engine whose calls take one millisecond, unless slowed from outside."""

import os
import time

from crnn.runtimes import noop_runtime


def write_nothing(build):
    """A recipe for it."""
    build.target.write_bytes(b"nothing")
    return {}


class Runtime(noop_runtime.Runtime):
    """Option ``name``: which one this is; ``CRNN_SLOWED`` names the one that takes a fifth longer."""

    anchor = "crnn.tests.steady_runtime"

    def load(self, path, device, *, name=None):
        super().load(path, device)
        self._busy_s = 0.0012 if name == os.environ.get("CRNN_SLOWED", "nobody") else 0.001

    def __call__(self, images, field):
        until = time.monotonic() + self._busy_s
        while time.monotonic() < until:
            pass
        return super().__call__(images, field)
