"""LiteRT: the interpreter with XNNPACK, one model per batch size that the file was converted for."""

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np

from crnn.processor import usable_cores
from crnn.runtimes import base


class Runtime(base.Runtime):
    """Runs a ``.tflite`` artifact; CPU only."""

    requires = ("ai_edge_litert", "flatbuffers")
    distributions = ("ai-edge-litert",)
    anchor = "crnn.runtimes.anchors.litert_anchor"

    def load(self, path: Path, device: str) -> None:
        """See the base class; no options. An interpreter is made at the first call with its batch size.

        Raises:
            RuntimeError: CUDA is asked for.
            ValueError: the file is not a LiteRT file.
        """
        if device == "cuda":
            raise RuntimeError("--device cuda: LiteRT runs on the CPU here")
        from ai_edge_litert.interpreter import Interpreter

        from crnn.formats import tflite_file

        self._file, self._interpreter = tflite_file, Interpreter
        self._path, self._model = path, tflite_file.read(path.read_bytes())
        self._threads = self.threads or usable_cores()
        self._ready: dict[int, tuple[Any, int, int, int]] = {}

    def _for(self, batch_size: int) -> tuple[Any, int, int, int]:
        if batch_size not in self._ready:
            try:
                model = self._file.single(self._model, batch_size)
            except ValueError as error:
                command = f"`python -m crnn build {self._path.stem} --force --batch-sizes ...` converts it again"
                raise ValueError(f"{self._path.name}: {error}; {command}") from None
            interpreter = self._interpreter(model_content=self._file.written(model), num_threads=self._threads)
            interpreter.allocate_tensors()
            inputs, output = self._file.ends(self._model, batch_size)
            self._ready[batch_size] = interpreter, inputs["images"], inputs["field"], output
        return self._ready[batch_size]

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class.

        Raises:
            ValueError: the file was not converted for batches of this size.
        """
        interpreter, images_index, field_index, output = self._for(len(images))
        # Otherwise fused LSTMs would start from the states of the previous call.
        interpreter.reset_all_variables()
        interpreter.set_tensor(images_index, images)
        interpreter.set_tensor(field_index, field)
        interpreter.invoke()
        return interpreter.get_tensor(output)

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"LiteRT {importlib.metadata.version('ai-edge-litert')}", "device": "cpu"}
