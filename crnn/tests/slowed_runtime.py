"""An engine with a busy wait planted in each call: what the gate has to notice."""

import time
from pathlib import Path

from crnn.runtimes import base


class Runtime(base.Runtime):
    """Option ``engine``: what it runs; option ``share``: how much longer each call takes."""

    def load(self, path: Path, device, **options):
        self._engine, self._share = base.runtime_class(options.pop("engine"))(), options.pop("share")
        self._engine.threads = self.threads
        self._engine.load(path, device, **options)

    def __call__(self, images, field):
        start = time.perf_counter()
        answer = self._engine(images, field)
        until = start + (1 + self._share) * (time.perf_counter() - start)
        while time.perf_counter() < until:
            pass
        return answer

    def parameters(self):
        return self._engine.parameters()

    def multiply_adds(self):
        return self._engine.multiply_adds()

    def describe(self):
        return self._engine.describe()
