"""The recognizer without recurrent layers: shapes, counts, files."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from crnn.formats import pt_file
from crnn.formats.counts import count
from crnn.models.conv_config import ConvConfig
from crnn.models.torch_conv import ConvRecognizer
from crnn.tests.test_models import inputs

SMALL = ConvConfig(classes=5, image=((4, 3, (4, 2)),), columns=((8, 3, 2), (8, 5, 2)), context=(3,))
PLAIN = ConvConfig(classes=7, columns=((8, 3, 2), (8, 5, 4)), context=())

layers = st.tuples(st.integers(1, 6), st.sampled_from([1, 3, 5]))
configs = st.builds(
    lambda image, columns, rows, context: ConvConfig(
        classes=4,
        image=tuple((*layer, (row, 1)) for layer, row in zip(image, rows, strict=False)),
        columns=tuple((*layer, step) for layer, step in zip(columns, (2, 2, 2), strict=True)),
        context=tuple(context),
    ),
    st.lists(layers, max_size=3),
    st.lists(layers, min_size=3, max_size=3),
    st.lists(st.sampled_from([1, 2, 3]), min_size=3, max_size=3),
    st.lists(st.sampled_from([1, 3]), max_size=2),
)


def counted_macs(model):
    """MACs of a run: each output of a convolution or linear layer takes one per weight of its filter."""
    total = []

    def hook(layer, _, output):
        weights = layer.weight[0].numel()
        total.append(output.numel() * weights)

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(hook)
    with torch.inference_mode():
        model(torch.zeros(1, 1, 32, 400), torch.zeros(1, 50, 2))
    return sum(total)


def logits(model, lines):
    """The logits of some lines."""
    with torch.inference_mode():
        return model(torch.from_numpy(lines[0]).unsqueeze(1), torch.from_numpy(lines[1])).numpy()


@settings(max_examples=15, deadline=None)
@given(configs)
def test_macs_are_those_of_a_run(config):
    """The config's MACs equal those that a run of the model takes."""
    assert config.macs == counted_macs(ConvRecognizer(config).eval())


@pytest.mark.parametrize("config", [SMALL, PLAIN])
def test_shapes(config):
    """A batch of images and fields gives logits for each of 50 steps."""
    assert logits(ConvRecognizer(config).eval(), inputs(count=3)).shape == (3, 50, config.classes)


def test_lines_do_not_influence_each_other():
    """A line's logits do not depend on the batch that it is in."""
    model, lines = ConvRecognizer(SMALL).eval(), inputs(count=4)
    alone = np.concatenate([logits(model, tuple(part[row : row + 1] for part in lines)) for row in range(4)])

    assert np.abs(logits(model, lines) - alone).max() < 1e-5


def test_the_field_matters():
    """Lines of another kind have other logits."""
    model, (images, field) = ConvRecognizer(SMALL).eval(), inputs(count=2)

    assert np.abs(logits(model, (images, field)) - logits(model, (images, 1 - field))).min() > 0


@pytest.mark.parametrize("config", [SMALL, PLAIN])
def test_file(config, tmp_path):
    """A file gives the same model again, and counts what it holds."""
    torch.manual_seed(1)
    model = ConvRecognizer(config).eval()
    pt_file.save(model, tmp_path / "model.pt")
    loaded = pt_file.load(tmp_path / "model.pt")

    assert loaded.config == config
    assert (logits(loaded, inputs(count=2)) == logits(model, inputs(count=2))).all()
    found = count(tmp_path / "model.pt", "pt")
    assert (found.parameters_stored, found.macs_per_line) == (sum(p.numel() for p in model.parameters()), config.macs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ((8, 3, 2), (8, 5, 2))}, "the strides reduce 400 columns to 100 steps, not 50"),
        ({"columns": ((8, 4, 2), (8, 5, 4))}, r"kernels of \[4\] have no middle"),
        ({"columns": ()}, "there is no convolution over time"),
        ({"context": (3, 2)}, r"kernels of \[2\] have no middle"),
    ],
)
def test_what_cannot_be_built(change, message):
    """A config whose time steps are not the 50 of every row, or that has no middle, is an error."""
    with pytest.raises(ValueError, match=message):
        ConvConfig(**{"columns": ((8, 3, 2), (8, 5, 4)), "context": (), **change})


def test_techniques_for_the_crnn_refuse_it(tmp_path):
    """A technique that changes the CRNN's layers names the file and the architecture."""
    pt_file.save(ConvRecognizer(SMALL), tmp_path / "model.pt")

    with pytest.raises(TypeError, match=r"model\.pt holds a ConvRecognizer: only the CRNN's layers are known here"):
        pt_file.load_crnn(tmp_path / "model.pt")
