"""An engine with a busy wait in each call, which the gate has to detect."""

import time
from pathlib import Path

from crnn.runtimes import base


class Runtime(base.Runtime):
    """Option ``engine``: the engine to run; option ``share``: the added time as a fraction of the call."""

    requires = ()
    distributions = ()

    def load(self, path: Path, device, *, engine, share):
        self._engine, self._share = base.runtime_class(engine)(), share
        self._engine.threads = self.threads
        self._engine.load(path, device)

    def __call__(self, images, field):
        start = time.perf_counter()
        output = self._engine(images, field)
        until = start + (1 + self._share) * (time.perf_counter() - start)
        while time.perf_counter() < until:
            pass
        return output

    def describe(self):
        return self._engine.describe()
