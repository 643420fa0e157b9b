"""LiteRT: the interpreter with XNNPACK, one model per batch size that the file was converted for."""

import importlib.metadata
from collections.abc import Mapping
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

    def load(self, path: Path, device: str, *, interface: Mapping[str, Any] | None = None) -> None:
        """See the base class. An interpreter is made at the first call with its batch size.

        Args:
            path: the artifact.
            device: see the base class.
            interface: of a user's model, see ``base.Runtime.describes``.

        Raises:
            RuntimeError: CUDA is asked for.
            ValueError: the file is not a LiteRT file.
        """
        if device == "cuda":
            raise RuntimeError("--device cuda: LiteRT runs on the CPU here")
        from ai_edge_litert.interpreter import Interpreter

        from crnn.formats import tflite_file

        self._file, self._interpreter = tflite_file, Interpreter
        self.describes(interface)
        self._path, self._content = path, path.read_bytes()
        self._model = tflite_file.read(self._content)
        self._threads = self.threads or usable_cores()
        self._ready: dict[int, tuple[Any, dict[str, int], int]] = {}

    def _resized(self, batch_size: int) -> tuple[Any, dict[str, int], int]:
        """A user's graph at a batch size: interpreter, tensors of the inputs by name, tensor of the output."""
        interpreter = self._interpreter(model_content=self._content, num_threads=self._threads)
        inputs = {details["name"]: details["index"] for details in interpreter.get_input_details()}
        for name, shape in self.interface.shapes(batch_size).items():
            interpreter.resize_tensor_input(inputs[name], shape)
        interpreter.allocate_tensors()
        outputs = {details["name"]: details["index"] for details in interpreter.get_output_details()}
        return interpreter, inputs, outputs[self.interface.output]

    def _for(self, batch_size: int) -> tuple[Any, dict[str, int], int]:
        if batch_size not in self._ready and not self._file.has_sizes(self._model):
            self._ready[batch_size] = self._resized(batch_size)
        if batch_size not in self._ready:
            try:
                model = self._file.single(self._model, batch_size)
            except ValueError as error:
                command = f"`python -m crnn build {self._path.stem} --force --batch-sizes ...` converts it again"
                raise ValueError(f"{self._path.name}: {error}; {command}") from None
            interpreter = self._interpreter(model_content=self._file.written(model), num_threads=self._threads)
            interpreter.allocate_tensors()
            self._ready[batch_size] = interpreter, *self._file.tensors(self._model, batch_size)
        return self._ready[batch_size]

    def __call__(self, images: np.ndarray, field: np.ndarray) -> np.ndarray:
        """See the base class.

        Raises:
            ValueError: the file was not converted for batches of this size.
        """
        interpreter, tensors, output = self._for(len(images))
        # Otherwise fused LSTMs would start from the states of the previous call.
        interpreter.reset_all_variables()
        for name, array in self.interface.inputs(images, field).items():
            interpreter.set_tensor(tensors[name], array)
        interpreter.invoke()
        return self.interface.log_probs(interpreter.get_tensor(output))

    def describe(self) -> dict[str, str]:
        """See the base class."""
        return {"engine": f"LiteRT {importlib.metadata.version('ai-edge-litert')}", "device": "cpu"}
