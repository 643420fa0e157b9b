"""Conversion to ncnn by pnnx."""

import subprocess
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crnn.optimize.recipe import Build


def convert(build: Build, *, half_weights: bool = False) -> dict[str, Any]:
    """Convert the parent, a ``.pt`` file.

    The wheels of ncnn and pnnx have no tool that quantizes: neither ``ncnn2table`` nor ``ncnn2int8``.

    Args:
        build: the artifact to build.
        half_weights: store matrices and filters in float16. ncnn widens them when it loads the file.

    Raises:
        RuntimeError: pnnx fails; the message has its output.
    """
    import pnnx
    import torch
    from torch import Tensor, nn

    from crnn.formats import ncnn_file, pt_file

    class LogProbabilities(nn.Module):
        """As ``torch_crnn.LogProbabilities``, from operators that ncnn has.

        pnnx would turn ``log_softmax`` into ``log(softmax)``, which is minus infinity below 1e-38.
        """

        def __init__(self) -> None:
            super().__init__()
            self.model = pt_file.load(build.source)

        def forward(self, images: Tensor, field: Tensor) -> Tensor:
            logits = self.model(images.unsqueeze(1), field)
            logits = logits - logits.amax(-1, keepdim=True)
            return logits - logits.exp().sum(-1, keepdim=True).log()

    module = LogProbabilities().eval()
    config = module.model.config
    shapes = [(config.height, config.width), (config.time_steps, config.field_features)]
    with TemporaryDirectory() as folder, torch.inference_mode(), warnings.catch_warnings():
        # pnnx reads TorchScript, which PyTorch deprecates; its LSTM checks sizes, which are fixed here.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        example = tuple(torch.zeros(1, *shape) for shape in shapes)
        torch.jit.trace(module, example).save(str(Path(folder, "model.pt")))
        # Two batch sizes, so that no layer is specialized for one.
        sizes = [",".join(f"[{size},{height},{width}]f32" for height, width in shapes) for size in (1, 2)]
        command = [pnnx.EXEC_PATH, "model.pt", f"inputshape={sizes[0]}", f"inputshape2={sizes[1]}"]
        command.append(f"fp16={int(half_weights)}")
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        graph, weights = Path(folder, "model.ncnn.param"), Path(folder, "model.ncnn.bin")
        if done.returncode or not (graph.exists() and weights.exists()):
            raise RuntimeError(f"pnnx ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        ncnn_file.write(graph.read_bytes(), weights.read_bytes(), build.target)
    # An operator that ncnn lacks is found here, not when the row is measured.
    ncnn_file.read(build.target)
    return {}
