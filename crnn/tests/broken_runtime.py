"""An engine with faults, chosen by the variant's options, for the tests of the harness."""

import os
import signal
import time

import numpy as np

from crnn.runtimes import noop_runtime


class Runtime(noop_runtime.Runtime):
    """Answers like the engine that does nothing until the fault strikes."""

    def load(self, path, device, **options):
        super().load(path, device, **options)
        self._fault, self._calls = options.get("fault"), 0
        if self._fault == "raises in load":
            raise RuntimeError("no kernel for this graph")

    def __call__(self, images, field):
        self._calls += 1
        answers = super().__call__(images, field).copy()
        match self._fault:
            case "crashes":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "is killed for memory":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exits":
                print("the last words", flush=True)
                os._exit(7)
            case "hangs":
                time.sleep(600)
            case "answers NaN":
                answers[0, 0, 0] = np.nan
            case "answers logits":
                answers += 5
            case "answers another shape":
                return answers[:, :-1]
            case "strays from its parent":
                answers[:, :, :2] += np.log([[[1.0002, 0.9998]]])
            case "answers otherwise when timed" if self._calls > 1:
                answers[:, :, :2] += np.log([[[1.5, 0.5]]])
        return answers
