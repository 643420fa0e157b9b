"""``.ncnn`` files: read, write, count parameters and MACs.

ncnn's own format is two files, ``model.param`` (the graph, text) and ``model.bin`` (weights). They are
shipped as one: a ZIP archive of both, not compressed. ``unzip`` gives what ncnn's tools read.

ncnn trusts its files: it reads beyond short weights and follows blobs that no layer makes. So graph and
weights are checked before it sees them.
"""

import zipfile
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import ncnn
import numpy as np

from crnn.corpus.lines import KINDS
from crnn.formats.counts import lstm_macs
from crnn.interface import BUILT_IN, Interface

IMAGES, FIELD, LOG_PROBS = "in0", "in1", "out0"
"""Blobs: images (H, W), field (T, 2) -> log probabilities (T, C)."""
_MEMBERS = ("model.param", "model.bin")
_MAGIC = "7767517"
# What precedes a matrix tells its type.
_TAGS: dict[int, np.dtype] = {0: np.dtype(np.float32), 0x01306B47: np.dtype(np.float16)}
_ALIGNMENT = 4


class Layer(NamedTuple):
    """A layer of the graph.

    Attributes:
        kind: such as ``Convolution``.
        inputs: blobs that it reads.
        outputs: blobs that it makes.
        settings: its integers by their number in ncnn's format; without arrays and fractions.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: dict[int, int]


class Model(NamedTuple):
    """The content of a file.

    Attributes:
        graph: the text of ``model.param``.
        weights: the bytes of ``model.bin``.
        layers: the layers of the graph.
    """

    graph: str
    weights: bytes
    layers: list[Layer]


def write(graph: bytes, weights: bytes, path: Path) -> None:
    """Save ``model.param`` and ``model.bin`` as one file; equal models give equal files."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in zip(_MEMBERS, (graph, weights), strict=True):
            # A ZipInfo has no time of its own.
            archive.writestr(zipfile.ZipInfo(name), content)


def read(path: Path) -> Model:
    """The model of a file.

    Raises:
        ValueError: it is not such a file, it is truncated, ncnn lacks an operator, or the weights are not
            those of the graph; the message names the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            graph, weights = (archive.read(name) for name in _MEMBERS)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ValueError(f"{path} is not a ZIP archive of {' and '.join(_MEMBERS)}: {error}") from None
    try:
        text = graph.decode()
        model = Model(text, weights, _layers(text))
        for _ in _tensors(model):
            pass
    except (ValueError, KeyError, IndexError) as error:
        reason = f"no setting {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} cannot be read by ncnn {ncnn.__version__}: {reason}") from None
    return model


def _layers(graph: str) -> list[Layer]:
    """The layers of a graph, checked.

    Raises:
        ValueError: it is not ncnn's format, an operator is unknown, or a blob is missing.
    """
    magic, *rows = graph.splitlines()[:2] or [""]
    if magic != _MAGIC or not rows:
        raise ValueError(f"{_MEMBERS[0]} does not start with {_MAGIC}")
    layer_count, blob_count = map(int, rows[0].split())
    layers: list[Layer] = []
    made: set[str] = set()
    for row in graph.splitlines()[2:]:
        kind, name, input_count, output_count, *rest = row.split()
        if ncnn.layer_to_index(kind) < 0:
            raise ValueError(f"unknown operator {kind} in layer {name}")
        _, split, end = accumulate((0, int(input_count), int(output_count)))
        inputs, outputs, pairs = rest[:split], rest[split:end], [pair.split("=") for pair in rest[end:]]
        if absent := set(inputs) - made:
            raise ValueError(f"no layer before {name} makes blob {min(absent)}")
        made |= set(outputs)
        settings = {int(key): int(value) for key, value in pairs if value.lstrip("-").isdigit()}
        layers.append(Layer(kind, tuple(inputs), tuple(outputs), settings))
    if (len(layers), len(made)) != (layer_count, blob_count):
        raise ValueError(f"{len(layers)} layers make {len(made)} blobs, expected {layer_count} and {blob_count}")
    if absent := {IMAGES, FIELD, LOG_PROBS} - made:
        raise ValueError(f"no blob {min(absent)}")
    return layers


def _sizes(layer: Layer) -> list[tuple[int, bool]]:
    """Sizes of the tensors that a layer stores, in order, and whether each has a tag."""
    get = layer.settings
    match layer.kind:
        case "Convolution":
            return [(get[6], True)] + [(get[0], False)] * get.get(5, 0)
        case "InnerProduct":
            return [(get[2], True)] + [(get[0], False)] * get.get(1, 0)
        case "BatchNorm":  # scale, mean, variance, shift
            return [(get[0], False)] * 4
        case "LSTM":  # input weights, biases, hidden weights
            return [(get[1], True), (4 * get[0], True), (4 * get[0] ** 2, True)]
    return []


def _tensors(model: Model) -> Iterator[np.ndarray]:
    """The tensors that the file stores.

    Raises:
        ValueError: they are more or fewer than the graph's layers have.
    """
    position, bytes_ = 0, model.weights
    for size, tagged in (entry for layer in model.layers for entry in _sizes(layer)):
        kind: np.dtype = np.dtype(np.float32)
        if tagged:
            tag = int.from_bytes(bytes_[position : position + _ALIGNMENT], "little")
            if tag not in _TAGS:
                raise ValueError(f"{_MEMBERS[1]} has an unknown type of weights, {tag:#x}, at byte {position}")
            kind, position = _TAGS[tag], position + _ALIGNMENT
        end = position + size * kind.itemsize
        if size < 1 or end > len(bytes_):
            raise ValueError(f"{_MEMBERS[1]} has {len(bytes_)} bytes, fewer than the layers need")
        yield np.frombuffer(bytes_[position:end], kind)
        position = end + -end % _ALIGNMENT
    if position != len(bytes_):
        raise ValueError(f"{_MEMBERS[1]} has {len(bytes_)} bytes, the layers need {position}")


def network(model: Model, threads: int) -> ncnn.Net:
    """A network that is ready to run, and computes in float32.

    With bfloat16 storage, ncnn's output is bfloat16 too: probabilities sum to one only within 0.3 %.

    Args:
        model: what to run.
        threads: number of threads per line.

    Raises:
        ValueError: ncnn refuses the model.
    """
    net = ncnn.Net()
    options = net.opt
    options.num_threads = threads
    # By default ncnn computes in half precision where the processor can.
    options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
    options.use_bf16_packed = options.use_bf16_storage = False
    options.use_vulkan_compute = False
    # Only its reader of files reports short reads; its reader of memory refers to a copy that is gone.
    with TemporaryDirectory() as folder:
        graph, weights = (Path(folder, name) for name in _MEMBERS)
        graph.write_text(model.graph)
        weights.write_bytes(model.weights)
        if net.load_param(str(graph)) or net.load_model(str(weights)):
            raise ValueError(f"ncnn {ncnn.__version__} refuses the model; its message is on standard error")
    return net


def run(net: ncnn.Net, image: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Log probabilities (T, C) of one line: image (H, W), field (T, 2).

    Raises:
        RuntimeError: a layer fails.
    """
    extractor = net.create_extractor()
    extractor.input(IMAGES, ncnn.Mat(image))
    extractor.input(FIELD, ncnn.Mat(field))
    status, log_probs = extractor.extract(LOG_PROBS)
    if status:
        raise RuntimeError(f"ncnn could not compute {LOG_PROBS}: status {status}")
    # The view's memory goes back to ncnn's pool.
    return np.array(log_probs)


def parameters(path: Path) -> Iterator[np.ndarray]:
    """The tensors that the file stores, in their types; BatchNorm's statistics too, one bias vector per LSTM."""
    yield from _tensors(read(path))


def macs(path: Path, interface: Interface = BUILT_IN) -> int:
    """MACs for one line, from the shapes of a run of the graph."""
    model = read(path)
    extractor = network(model, 1).create_extractor()
    # Otherwise inner blobs are freed as soon as they are read.
    extractor.set_light_mode(False)
    extractor.input(IMAGES, ncnn.Mat(np.zeros(interface.size, np.float32)))
    extractor.input(FIELD, ncnn.Mat(np.zeros((interface.time_steps, len(KINDS)), np.float32)))
    total = 0
    for layer in model.layers:
        if layer.kind in ("Convolution", "InnerProduct", "LSTM"):
            output, settings = extractor.extract(layer.outputs[0])[1], layer.settings
            match layer.kind:
                case "Convolution":  # (C, H, W)
                    total += output.h * output.w * settings[6]
                case "InnerProduct":  # (T, C)
                    total += output.h * settings[2]
                case "LSTM":  # (T, units)
                    units = settings[0]
                    total += lstm_macs(output.h, settings[1] // (4 * units), units)
    return total
