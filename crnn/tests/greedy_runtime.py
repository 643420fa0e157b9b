"""An engine that computes with three threads regardless of the number requested."""

import hashlib
import threading

from crnn.runtimes import noop_runtime

THREADS = 3
WORK = bytes(3_000_000)


def compute():
    """Keep a thread busy without holding Python's lock: hashing releases it."""
    hashlib.sha256(WORK).digest()


class Runtime(noop_runtime.Runtime):
    """Keeps its thread pool between calls, as the frameworks do."""

    def load(self, path, device):
        super().load(path, device)
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        for _ in range(THREADS - 1):
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while self._go.acquire():
            compute()
            self._done.release()

    def __call__(self, images, field):
        for _ in range(THREADS - 1):
            self._go.release()
        compute()
        for _ in range(THREADS - 1):
            self._done.acquire()
        return super().__call__(images, field)
