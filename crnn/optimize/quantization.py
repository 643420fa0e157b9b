"""Post-training quantization of the PyTorch CRNN, and weights in bfloat16."""

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn.optimize.calibration import inputs_of
from crnn.optimize.recipe import Build, RecipeError

if TYPE_CHECKING:
    import torch

    from crnn.formats.torch_qdq import Scales
    from crnn.models.torch_crnn import CRNN


def same_weights(build: Build) -> dict[str, Any]:
    """Copy the parent's file: only its execution differs."""
    shutil.copyfile(build.source, build.target)
    return {}


def to_bfloat16(build: Build) -> dict[str, Any]:
    """Round all weights to bfloat16."""
    import torch

    from crnn.formats import pt_file

    pt_file.save(pt_file.load(build.source).to(torch.bfloat16), build.target)
    return {}


def to_float16(build: Build) -> dict[str, Any]:
    """Round all weights to float16."""
    import torch

    from crnn.formats import pt_file

    pt_file.save(pt_file.load(build.source).to(torch.float16), build.target)
    return {}


def dynamic_int8(build: Build) -> dict[str, Any]:
    """Quantize LSTMs and classifier to int8, with activation scales computed at run time."""
    from crnn.formats import pt_file, torch_int8

    torch_int8.save(torch_int8.quantize(pt_file.load(build.source)), build.target)
    return {}


def static_int8(build: Build, *, calibration_lines: int = 256) -> dict[str, Any]:
    """Quantize convolutions to int8, with activation scales from validation lines (PT2E, torchao's x86 quantizer).

    The quantizer has no rule for LSTMs; they and the classifier stay float.

    Args:
        build: the artifact to build.
        calibration_lines: number of lines that the observers see.

    Raises:
        RecipeError: no calibration line, or the parent has another alphabet.
        CorpusError: the corpus has no validation line.
    """
    parent = build.teacher
    images, field = inputs_of(build.corpus.validation, calibration_lines)

    from crnn.formats import pt_file, torch_qdq

    model = pt_file.load(parent)
    scales = _calibrated(model, images, field)
    torch_qdq.save(torch_qdq.quantized(model, scales), build.target)
    return {"calibration_lines": len(images)}


def _calibrated(model: "CRNN", images: np.ndarray, field: np.ndarray) -> "list[Scales]":
    """The scales of each convolution from torchao's observers, after they have seen the lines.

    ``convert_pt2e`` would write the same scales into a graph. It takes a minute to search for
    patterns of quantization-aware training, and the saved graph would need unpickling.
    """
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    from crnn.models.torch_crnn import LogProbabilities

    inputs = torch.from_numpy(images), torch.from_numpy(field)
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_module_type_qconfig(torch.nn.Conv2d, x86.get_default_x86_inductor_quantization_config())
    with torch.no_grad():
        prepared = prepare_pt2e(torch.export.export(LogProbabilities(model), inputs).module(), quantizer)
        prepared(*inputs)
    convolutions = [node for node in prepared.graph.nodes if node.target is torch.ops.aten.conv2d.default]
    return [
        _scales_of(block.conv.weight.detach(), *(prepared.get_submodule(seen.target) for seen in node.args[:2]))
        for block, node in zip(model.blocks, convolutions, strict=True)
    ]


def _scales_of(weight: "torch.Tensor", seen_images: Any, seen_weight: Any) -> "Scales":
    """A convolution's scales from the observers of its inputs and of its weights."""
    from crnn.formats.torch_qdq import INPUT_RANGE, WEIGHT_RANGE, Scales

    ranges = (seen_images.quant_min, seen_images.quant_max), (seen_weight.quant_min, seen_weight.quant_max)
    if ranges != (INPUT_RANGE, WEIGHT_RANGE) or seen_weight.ch_axis != 0:
        raise RecipeError(f"torchao's quantizer uses unsupported ranges or axes: {seen_images}, {seen_weight}")
    scale, zero_point = seen_images.calculate_qparams()
    steps, _ = seen_weight.calculate_qparams()
    levels = (weight / steps[:, None, None, None]).round().clamp(*WEIGHT_RANGE)
    return Scales(levels.char(), steps.float(), float(scale), int(zero_point))
