"""PyTorch, compiled ahead of time by AOTInductor: no graph is captured and nothing is compiled when it runs."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from crnn.processor import cannot_run
from crnn.runtimes import base


@contextmanager
def _unpacking() -> Iterator[None]:
    """Have PyTorch unpack into a temporary folder that is removed at the end.

    Otherwise a process that is killed leaves its copy of the code behind. Code that is loaded needs no file.
    """
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


class Runtime(base.Runtime):
    """Runs a ``.pt2`` package at any batch size; CPU only. Needs no compiler."""

    requires = ("torch",)
    distributions = ("torch",)
    anchor = "crnn.runtimes.anchors.torch_anchor"

    def load(self, path: Path, device: str) -> None:
        """See the base class; no options.

        Raises:
            RuntimeError: CUDA is requested, or the package was compiled for another processor.
            ValueError: the file is not a package, or it is truncated.
        """
        if device == "cuda":
            raise RuntimeError("--device cuda: the package is compiled for the CPU")
        import torch

        from crnn.formats import pt2_file

        if self.threads:
            torch.set_num_threads(self.threads)
        package = pt2_file.read(path)
        # Before its code is loaded: an instruction that the processor lacks ends the process without a message.
        if reason := cannot_run(package.compiled_for):
            command = f"`python -m crnn build {path.stem} --force` compiles it for this one"
            raise RuntimeError(f"{path} cannot run on this processor: {reason}; {command}")
        self._torch = torch
        # Not aoti_load_package: it imports the compiler and runs g++ to learn what this processor has.
        with _unpacking():
            self._loader = torch._C._aoti.AOTIModelPackageLoader(str(path), pt2_file.MODEL, False, 1, -1)
        # The code refers to these tensors, it does not copy them.
        self._weights = package.weights
        self._loader.load_constants(self._weights, False, True, True, False)

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class."""
        torch = self._torch
        with torch.inference_mode():
            [log_probs] = self._loader.boxed_run([torch.from_numpy(images), torch.from_numpy(field)])
            return log_probs.numpy()

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"PyTorch {self._torch.__version__.partition('+')[0]} AOTInductor", "device": "cpu"}
