"""An engine whose calls take one millisecond unless ``CRNN_SLOWED`` names it."""

import os
import time

from crnn.runtimes import noop_runtime


def write_nothing(build):
    """A recipe that writes a placeholder."""
    build.target.write_bytes(b"nothing")
    return {}


class Runtime(noop_runtime.Runtime):
    """Option ``name``: the variant's name; the variant named by ``CRNN_SLOWED`` takes 20 % longer."""

    anchor = "crnn.tests.steady_runtime"

    def load(self, path, device, *, name=None):
        super().load(path, device)
        self._busy_s = 0.0012 if name == os.environ.get("CRNN_SLOWED", "nobody") else 0.001

    def __call__(self, images, field):
        until = time.monotonic() + self._busy_s
        while time.monotonic() < until:
            pass
        return super().__call__(images, field)
