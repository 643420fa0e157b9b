"""ncnn on the CPU: a batch is read line by line, with as many lines at once as there are threads."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from crnn.processor import usable_cores
from crnn.runtimes import base


class Runtime(base.Runtime):
    """Runs a ``.ncnn`` artifact.

    ncnn can also compute a batch in one call. It gains nothing here: its kernels are those for one line, and
    threads wait for each other after each layer. With one line per thread they never wait.
    """

    requires = ("ncnn",)
    distributions = ("ncnn",)
    anchor = "crnn.runtimes.anchors.ncnn_anchor"

    def load(self, path: Path, device: str) -> None:
        """See the base class; no options.

        Raises:
            RuntimeError: CUDA is requested.
            ValueError: the file is not a model that ncnn can read.
        """
        if device == "cuda":
            raise RuntimeError("--device cuda: ncnn runs on the CPU here")
        import ncnn

        from crnn.formats import ncnn_file

        self._version, self._run = ncnn.__version__, ncnn_file.run
        self._threads = self.threads or usable_cores()
        model = ncnn_file.read(path)
        # Weights are laid out for a number of threads when they are loaded.
        self._together = ncnn_file.network(model, self._threads)
        self._alone = ncnn_file.network(model, 1) if self._threads > 1 else self._together
        self._pool = ThreadPoolExecutor(self._threads)

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        if self._threads == 1 or len(images) < self._threads:
            return np.stack(list(map(partial(self._run, self._together), images, field)))
        return np.stack(list(self._pool.map(partial(self._run, self._alone), images, field)))

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"ncnn {self._version}", "device": "cpu"}
