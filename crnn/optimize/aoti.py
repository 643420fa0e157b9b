"""Compilation ahead of time by AOTInductor: machine code for this processor, for any batch size."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crnn.optimize.recipe import Build
from crnn.processor import machine_code

_SETTINGS: dict[str, Any] = {
    # Frozen weights are prepacked, and inductor's convolution with a dynamic batch then returns another
    # memory format than the code expects: wrong outputs (PyTorch 2.13). Without it they are as fast.
    "freezing": False,
    # Otherwise tensors of up to eight values are written into the code, and nothing counts them.
    "always_keep_tensor_constants": True,
    # Otherwise the number of threads of the process that compiles may be fixed in the code.
    "cpp.dynamic_threads": True,
    # How many threads the loops are split for; again not those of the process that compiles.
    "cpp.threads": 16,
    # Otherwise -march=native: any instruction of this processor, and inductor only names the vector ones.
    "cpp.march": "",
}
# Lines in the example that is exported; not 1, which would be taken as a constant.
_EXPORTED_AT = 2


def compile_ahead(build: Build) -> dict[str, Any]:
    """Export the parent, a ``.pt`` file, and compile it, channels last; the batch size is dynamic.

    Needs a C++ compiler. The package runs on processors that have the instruction sets of this one.

    Args:
        build: the artifact to build.
    """
    import torch

    from crnn.formats import pt2_file, pt_file
    from crnn.models import torch_crnn

    model = pt_file.load(build.source).requires_grad_(False).to(memory_format=torch.channels_last)
    config, compiled_for = model.config, machine_code()
    example = (
        torch.zeros(_EXPORTED_AT, config.height, config.width),
        torch.zeros(_EXPORTED_AT, config.time_steps, config.field_features),
    )
    batch = torch.export.Dim("batch", min=1)
    deployed = torch_crnn.LogProbabilities(model, channels_last=True).eval()
    with torch.no_grad(), TemporaryDirectory() as folder:
        program = torch.export.export(deployed, example, dynamic_shapes=({0: batch}, {0: batch}))
        # The archive's folder is named after the file: not after the temporary one that is renamed later.
        package = torch._inductor.aoti_compile_and_package(
            program,
            package_path=str(Path(folder, "crnn.pt2")),
            inductor_configs=_SETTINGS | pt2_file.settings(config, compiled_for),
        )
        shutil.move(package, build.target)
    return {"compiled_for": list(compiled_for)}
