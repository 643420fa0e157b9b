"""An engine with faults, selected by the variant's options, for the tests of the harness."""

import os
import signal
import sys
import threading
import time

import numpy as np

from crnn.runtimes import noop_runtime


def _caller():
    """The request of the worker that led to this call."""
    # This function, the engine's call, ``timed_call``, the request.
    return sys._getframe(3).f_code.co_name


def _fail(fault, count):
    """End the process, or raise; some faults need nine lines."""
    match fault:
        case "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "is killed for memory":
            os.kill(os.getpid(), signal.SIGKILL)
        case "is killed for 9 lines" if count >= 9:
            os.kill(os.getpid(), signal.SIGKILL)
        case "has no memory for 9 lines" if count >= 9:
            raise MemoryError
        case "has no kernel for 9 lines" if count >= 9:
            raise RuntimeError("no kernel for this shape")
        case "exits":
            print("the last words", flush=True)
            os._exit(7)
        case "hangs":
            time.sleep(600)


class Runtime(noop_runtime.Runtime):
    """Behaves like the no-op engine until the fault occurs."""

    def load(self, path, device, *, fault=None):
        super().load(path, device)
        self._fault, self._last = fault, None
        if self._fault == "raises in load":
            raise RuntimeError("no kernel for this graph")

    def __call__(self, images, field):
        outputs = super().__call__(images, field).copy()
        _fail(self._fault, len(images))
        match self._fault:
            case "returns NaN":
                outputs[0, 0, 0] = np.nan
            case "returns logits":
                outputs += 5
            case "returns another shape":
                return outputs[:, :-1]
            case "strays from its parent":
                outputs[:, :, :2] += np.log([[[1.0002, 0.9998]]])
            case "differs when timed" | "skips work when timed" if _caller() != "outputs":
                outputs[:, :, :2] += np.log([[[1.5, 0.5]]])
            case "reads what is not there":
                outputs[:, ::2, :2] += np.log([[[0.5, 1.5]]])
            case "caches its last output":
                if self._last is None or len(self._last) != len(images):
                    # An output that depends on the image: (B,) -> (B, 50, C)
                    ink = images.mean((1, 2))[:, None, None] * np.linspace(0, 1, outputs.shape[-1])
                    ink = np.broadcast_to(ink, outputs.shape)
                    self._last = (ink - np.log(np.exp(ink).sum(-1, keepdims=True))).astype(np.float32)
                return self._last
            case "returns before the work is done":
                promised = np.zeros_like(outputs)
                threading.Timer(0.05, lambda: np.copyto(promised, outputs)).start()
                return promised
        return outputs
