"""Recognizers of other projects, built by their own packages and trained a little here: all in one table."""

import json
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from crnn import registry
from crnn.corpus import open_corpus
from crnn.interface import Interface
from crnn.measure.conversions import ready
from crnn.tests import trocr_row
from crnn.tests.disguised import PADDLE, disguise
from crnn.tests.test_given_models import cers
from crnn.tests.test_suite import ROOT, own_machine
from crnn.tests.trocr_row import DIGITS, HEIGHT, WIDTH

LINES, BATCH = 400, 16
DOCTR = Interface(
    height=HEIGHT,
    width=WIDTH,
    channels=3,
    images="images",
    layout="BCHW",
    mean=(0.694, 0.695, 0.693),
    std=(0.299, 0.296, 0.301),
    output="logits",
    values="logits",
    blank=-1,
    alphabet=DIGITS,
    time_steps=32,
)
"""As docTR's recognizers are fed; the blank is the last class."""


def draw(count, seed):
    """Draw numbers of two or three digits, of which there are four: images uint8 (N, 32, 128), and labels."""
    rng, font = np.random.default_rng(seed), ImageFont.load_default(size=26)
    labels = ["".join(rng.choice(list("0147"), rng.integers(2, 4))) for _ in range(count)]
    images = np.empty((count, HEIGHT, WIDTH), np.uint8)
    for row, label in enumerate(labels):
        line = Image.new("L", (WIDTH, HEIGHT), 255)
        ImageDraw.Draw(line).text((4 + rng.integers(3), rng.integers(-1, 2)), label, fill=0, font=font)
        images[row] = np.asarray(line)
    return images, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus of drawn numbers."""
    place = tmp_path_factory.mktemp("corpora") / "numbers"
    place.mkdir()
    images, labels = draw(LINES, 1)
    for index, pixels in enumerate(images):
        Image.fromarray(pixels).save(place / f"{index}.png")
    (place / "labels.tsv").write_text("".join(f"{index}.png\t{label}\n" for index, label in enumerate(labels)))
    return place


def train(model, steps, peak, loss_of):
    """Train on fresh numbers."""
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), peak)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, steps)
    model.train()
    for step in range(steps):
        images, labels = draw(BATCH, 100 + step)
        pixels = torch.from_numpy(images.astype(np.float32) / 255)
        loss = loss_of(pixels, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


@pytest.fixture(scope="module")
def doctr(tmp_path_factory):
    """The ``crnn_mobilenet_v3_small`` of docTR, as ONNX with its description."""
    trocr_row.prepare_torchvision()
    from doctr.models import crnn_mobilenet_v3_small

    torch.manual_seed(1)
    model = crnn_mobilenet_v3_small(pretrained=False, pretrained_backbone=False, vocab=DIGITS)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1  # of the average over batches: its own, 0.01, is for long trainings
    # (B, H, W) -> (B, 1, H, W) -> (B, 3, H, W)
    mean, std = (torch.tensor(values)[:, None, None] for values in (DOCTR.mean, DOCTR.std))
    train(model, 160, 4e-3, lambda pixels, labels: model((pixels[:, None] - mean) / std, target=labels)["loss"])

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, images):
            return self.model(images)["logits"]

    model.exportable = True
    path = tmp_path_factory.mktemp("models") / "doctr.onnx"
    batch = torch.export.Dim("batch", min=1)
    example = torch.zeros(2, 3, HEIGHT, WIDTH)
    with warnings.catch_warnings():
        # The exporter complains of how LSTMs keep their weights.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits().eval(),
            (example,),
            path,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: batch},),
            dynamo=True,
            external_data=False,
        )
    described = path.with_suffix(".toml")
    described.write_text(DOCTR.to_toml())
    return path, described


@pytest.fixture(scope="module")
def paddle(tmp_path_factory):
    """Our CRNN behind the interface of PaddleOCR's models."""
    source = ready(registry.get("ort-torch2onnx"), open_corpus(None))
    path = disguise(source, tmp_path_factory.mktemp("models") / "paddle.onnx", PADDLE)
    described = path.with_suffix(".toml")
    described.write_text(replace(PADDLE, alphabet=open_corpus(None).alphabet).to_toml())
    return path, described


@pytest.fixture(scope="module")
def trocr(tmp_path_factory):
    """Weights of the encoder-decoder."""
    from safetensors.torch import save_model

    torch.manual_seed(1)
    model = trocr_row.model()

    def loss(pixels, labels):
        rows = [[*map(DIGITS.index, label), trocr_row.END] for label in labels]
        longest = max(map(len, rows))
        # -100 is left out of the loss
        padded = torch.tensor([[*row, *[-100] * (longest - len(row))] for row in rows])
        return model(pixel_values=trocr_row.pixels(pixels), labels=padded).loss

    train(model, 900, 2e-3, loss)
    path = tmp_path_factory.mktemp("weights") / "trocr.safetensors"
    save_model(model, str(path))
    return path


@pytest.fixture(scope="module")
def table(folder, doctr, paddle, trocr, tmp_path_factory):
    """A quick run of all three; returns the process and the saved benchmarks."""
    place = tmp_path_factory.mktemp("run")
    models = [word for path, described in (doctr, paddle) for word in ("--model", path, "--interface", described)]
    command = [sys.executable, "-m", "pytest", "benchmarks", "--quick", "-k", "accuracy or latency"]
    command += ["--registry", "crnn/tests/trocr_row.py", "--corpus", folder, *models]
    command += ["--variants", "doctr*,paddle,trocr", "--reference", "doctr", f"--benchmark-json={place / 'run.json'}"]
    environment = own_machine(place) | {trocr_row.WEIGHTS: str(trocr)}
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    assert (done.returncode, done.stdout[-3000:] + done.stderr[-2000:] if done.returncode else "") == (0, "")
    return json.loads((place / "run.json").read_text())["benchmarks"]


class TestOneTable:
    def test_every_recognizer_is_measured(self, table):
        """DocTR's with all that can be made of it, PaddleOCR's and the encoder-decoder: accuracy and times."""
        timed = {one["extra_info"]["variant"] for one in table if "latency_median_s" in one["extra_info"]}

        assert {"doctr", "doctr-optimized", "doctr-int8-static", "doctr-ov-int8", "paddle", "trocr"} <= set(cers(table))
        assert timed == set(cers(table))

    def test_what_was_learned_is_read(self, table):
        """A little training is enough to read most digits; a wrong blank, order or scaling would read none."""
        found = cers(table)

        assert {name: cer for name in ("doctr", "trocr") if (cer := found[name]) > 0.3} == {}

    def test_conversions_read_as_their_parent(self, table):
        """DocTR's network computes the same on OpenVINO and after optimization."""
        found = cers(table)

        assert found["doctr-optimized"] == found["doctr-ov"] == found["doctr"]
