"""The rows of a user's model: the model as it is, and what can be made of it without training."""

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from crnn.interface import BUILT_IN, InterfaceError
from crnn.registry.variant import Thresholds, Variant

if TYPE_CHECKING:
    from crnn.corpus import Corpus

ENVIRONMENT = "CRNN_MODELS"
"""Holds the models as JSON, so that the processes that we start have their rows too."""

# A conversion computes the same function; float32 kernels of two engines round differently.
_EXACT: dict[str, Any] = {"max_log_prob_difference": 1e-2, "max_cer_difference": 0.001}
# Rounding to 8 bits is allowed a point of CER. Dynamic scales depend on the whole batch.
_ROUNDED: dict[str, Any] = {"max_cer_difference": 0.01, "max_timed_difference": 20, "max_lines_read_differently": 20}
_TOOLS = ("onnxoptimizer", "onnxsim")
_RECIPES = "crnn.optimize"
SAME_FILE = f"{_RECIPES}.quantization:same_weights"


@dataclass(frozen=True)
class GivenModel:
    """A user's model, after it has been looked at.

    Attributes:
        path: of the file, absolute.
        sha256: of its files.
        interface: as JSON, complete.
        without: the children that cannot be made of it, and why, by the end of their name.
    """

    path: str
    sha256: str
    interface: dict[str, Any]
    without: dict[str, str]


def name_of(path: Path) -> str:
    """The name of a model's row: that of its file, in lower case."""
    return re.sub(r"[^a-z0-9.+]+", "-", path.stem.lower()).strip("-.+") or "model"


def _of_onnx(row: Variant, interface: dict[str, Any]) -> Iterator[Variant]:
    optimized = row.derive(
        f"{row.name}-optimized",
        "onnxoptimizer + onnxsim",
        f"{_RECIPES}.given:optimize",
        recipe_options=interface,
        requires=_TOOLS,
        **_EXACT,
    )
    yield optimized
    yield optimized.derive(
        f"{row.name}-rewritten",
        "BatchNorm behind MaxPool, last one in the LSTM",
        f"{_RECIPES}.onnx_rewrite:rewrite",
        requires=_TOOLS,
        **_EXACT,
    )
    for end, technique, options in (
        ("dynamic", "dynamic int8 LSTMs and matrix products", {}),
        ("static", "static int8 convolutions, dynamic int8 LSTMs", interface | {"rewritten": False}),
    ):
        yield optimized.derive(
            f"{row.name}-int8-{end}",
            technique,
            f"{_RECIPES}.onnx_int8:{end}",
            recipe_options=options,
            requires=_TOOLS,
            precision="int8",
            **_ROUNDED,
        )
    converted = row.derive(
        f"{row.name}-ov",
        "OpenVINO",
        f"{_RECIPES}.openvino_convert:convert",
        runtime="openvino",
        suffix=".openvino",
        counted_by=None,
        runtime_options=interface,
        **_EXACT,
    )
    yield converted
    yield from _of_openvino(converted, interface)


def _of_openvino(row: Variant, interface: dict[str, Any]) -> Iterator[Variant]:
    yield row.derive(
        f"{row.name}-bf16",
        "bfloat16 in OpenVINO",
        SAME_FILE,
        runtime=row.runtime,
        runtime_options=interface | {"precision": "bf16"},
        precision="bf16",
        **_ROUNDED,
    )
    yield row.derive(
        f"{row.name}-int8",
        "static int8 by NNCF",
        f"{_RECIPES}.openvino_convert:quantize",
        requires=("nncf",),
        recipe_options=interface,
        precision="int8",
        **_ROUNDED,
    )


_LAYOUT = ("channels-last", "channels-last memory format", {"channels_last": True})
_COMPILED = ("compiled", "torch.compile (inductor), frozen", {"compiled": True})


def _of_program(row: Variant, options: dict[str, Any], ways: Sequence[Any] = (_LAYOUT, _COMPILED)) -> Iterator[Variant]:
    for end, technique, settings in ways:
        yield row.derive(
            f"{row.name}-{end}", technique, SAME_FILE, runtime_options=options | settings, runtime=row.runtime, **_EXACT
        )


def _of_script(row: Variant, options: dict[str, Any]) -> Iterator[Variant]:
    """TorchScript; ``torch.compile`` does not compile it."""
    return _of_program(row, options, (_LAYOUT,))


def _of_keras(row: Variant, options: dict[str, Any]) -> Iterator[Variant]:
    yield row.derive(
        f"{row.name}-xla", "XLA", SAME_FILE, runtime=row.runtime, runtime_options=options | {"mode": "xla"}, **_EXACT
    )
    yield row.derive(
        f"{row.name}-litert",
        "LiteRT",
        f"{_RECIPES}.litert_convert:convert_given",
        runtime="litert",
        suffix=".tflite",
        counted_by=None,
        recipe_options=options,
        runtime_options=options,
        **_EXACT,
    )


class Kind(NamedTuple):
    """A kind of file that a user may give.

    Attributes:
        runtime: the engine.
        suffix: of the artifact.
        format: module that counts it, see ``Variant.format``.
        children: what is made of it.
    """

    runtime: str
    suffix: str
    format: str
    children: Callable[[Variant, dict[str, Any]], Iterator[Variant]]


_PROGRAM = Kind("program", ".pt2", "program", _of_program)
_SCRIPT = Kind("program", ".ts", "program", _of_script)
KINDS = {
    ".onnx": Kind("onnx", ".onnx", "onnx", _of_onnx),
    ".xml": Kind("openvino", ".openvino", "openvino", _of_openvino),
    ".tflite": Kind("litert", ".tflite", "tflite", lambda *_: iter(())),
    ".keras": Kind("tensorflow", ".keras", "keras", _of_keras),
    ".pt2": _PROGRAM,
    **dict.fromkeys((".ts", ".pt", ".pth", ".torchscript"), _SCRIPT),
}
"""By the suffix of a user's file."""


def rows_of(model: GivenModel) -> list[Variant]:
    """A model's own row, then its children."""
    path = Path(model.path)
    kind, name, options = KINDS[path.suffix], name_of(path), {"interface": model.interface}
    row = Variant(
        name,
        f"{path.name} as it is",
        f"{_RECIPES}.given:adopt",
        framework=kind.runtime,
        runtime=kind.runtime,
        suffix=kind.suffix,
        counted_by=kind.format,
        thresholds=Thresholds(parameters=None, macs=None, max_bytes=None, max_peak_memory_bytes=None),
        recipe_options={"source": model.path, "sha256": model.sha256},
        runtime_options=options,
    )
    return [
        row,
        *(child for child in kind.children(row, options) if child.name.removeprefix(name) not in model.without),
    ]


def use(models: Sequence[GivenModel]) -> None:
    """Add the rows of some models, here and in the processes that this one starts."""
    os.environ[ENVIRONMENT] = json.dumps([asdict(model) for model in models])


def given() -> list[Variant]:
    """The rows of all models that are in use."""
    models = [GivenModel(**one) for one in json.loads(os.environ.get(ENVIRONMENT, "[]"))]
    return [row for model in models for row in rows_of(model)]


def open_corpus_for(
    folder: Path | None,
    variants: Sequence[Variant],
    *,
    height: int | None = None,
    width: int | str | None = None,
    skip_unfit: bool = False,
) -> "Corpus":
    """Open a corpus at the sizes of some rows.

    Args:
        folder: of a user's corpus; None for the field corpus.
        variants: the rows that read it.
        height: see ``corpus.open_corpus``.
        width: see ``corpus.open_corpus``.
        skip_unfit: see ``corpus.open_corpus``.

    Raises:
        CorpusError: the corpus cannot be read; the message names every fault.
        InterfaceError: a model lacks characters of the corpus.
    """
    from crnn.corpus import open_corpus

    models = list(dict.fromkeys(row.interface for row in variants)) or [BUILT_IN]
    corpus = open_corpus(folder, models, height=height, width=width, skip_unfit=skip_unfit)
    for row in variants:
        if lacking := sorted(set(corpus.alphabet) - set(row.reads(corpus.alphabet))):
            raise InterfaceError(f"{row.name}: alphabet lacks {''.join(lacking)!r}, which labels of the corpus have")
    return corpus
