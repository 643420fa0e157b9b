"""A row of another package: a small encoder-decoder as TrOCR (Li et al., 2021, arXiv:2109.10282), by transformers.

    pytest benchmarks --registry crnn/tests/trocr_row.py --variants trocr

It returns texts, not log probabilities.
"""

import functools
import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np

from crnn.interface import Interface
from crnn.registry import Thresholds, Variant
from crnn.runtimes import base

DIGITS = "0123456789"
PAD, START, END = range(len(DIGITS), len(DIGITS) + 3)
HEIGHT, WIDTH, LONGEST = 32, 128, 8
WEIGHTS = "TROCR_WEIGHTS"
"""The environment variable that names the trained weights."""


@functools.cache
def prepare_torchvision():
    """Let torchvision be imported where its operators do not load; transformers imports it where it is installed.

    The wheel of the package index is built for CUDA, and does not load beside a PyTorch for the CPU; then its import
    fails for want of two operators. Recognizers use none of them.
    """
    from torch import library, ops

    [file] = Path(importlib.util.find_spec("torchvision").origin).parent.glob("_C*.so")
    try:
        ops.load_library(str(file))
    except OSError:
        operators = library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        # They are there as long as their library, which the cache keeps.
        return operators
    return None


def model():
    """The untrained model: patches of four columns, two layers on each side."""
    prepare_torchvision()
    from transformers import TrOCRConfig, VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig

    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    encoder = ViTConfig(image_size=(HEIGHT, WIDTH), patch_size=(HEIGHT, 4), num_channels=1, **sizes)
    decoder = TrOCRConfig(
        vocab_size=END + 1,
        d_model=64,
        decoder_layers=2,
        decoder_attention_heads=4,
        decoder_ffn_dim=128,
        max_position_embeddings=2 * LONGEST,
        cross_attention_hidden_size=64,
        pad_token_id=PAD,
        bos_token_id=START,
        eos_token_id=END,
        decoder_start_token_id=START,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = START, PAD, END
    made = VisionEncoderDecoderModel(config)
    generation = made.generation_config
    generation.decoder_start_token_id, generation.pad_token_id, generation.eos_token_id = START, PAD, END
    return made


def pixels(images):
    """What the model takes of images (B, H, W), 1 is white: (B, 1, H, W), with ink far from 0."""
    return 3 * (1 - images[:, None])


def adopt(build):
    """The recipe: take the trained weights."""
    shutil.copy(os.environ[WEIGHTS], build.target)
    return {}


def parameters(path: Path):
    """Yield the arrays of the file."""
    from safetensors.numpy import load_file

    yield from load_file(path).values()


def macs(_: Path) -> int:
    """0: a decoder takes as many steps as the text has characters."""
    return 0


class Runtime(base.TextRuntime):
    """Reads greedily."""

    requires, distributions = ("torch", "transformers"), ("torch",)

    def load(self, path, device, *, interface=None):
        """Load the artifact."""
        import torch
        from safetensors.torch import load_file

        self.describes(interface)
        if self.threads:
            torch.set_num_threads(self.threads)
        self._torch, self._model = torch, model().eval()
        self._model.load_state_dict(load_file(path), strict=False)

    def read(self, images: np.ndarray) -> list[str]:
        """Read a batch, (B, 32, 128): B texts."""
        torch = self._torch
        with torch.inference_mode():
            tokens = self._model.generate(pixels(torch.from_numpy(images)), max_new_tokens=LONGEST, num_beams=1)
        return ["".join(DIGITS[token] for token in row if token < len(DIGITS)) for row in tokens.tolist()]

    def describe(self):
        """PyTorch; the version of transformers does not matter here."""
        return {"engine": f"PyTorch {self._torch.__version__}, generate", "device": "cpu"}


ROW = Variant(
    "trocr",
    "encoder-decoder",
    "trocr_row:adopt",
    framework="torch",
    runtime="trocr_row",
    suffix=".safetensors",
    counted_by="trocr_row",
    runtime_options={"interface": Interface(height=HEIGHT, width=WIDTH, alphabet=DIGITS).to_json()},
    thresholds=Thresholds(parameters=None, macs=None, max_bytes=None, max_peak_memory_bytes=None),
    requires=("transformers", "safetensors"),
)
