"""What a user's model takes and returns: read from its file, and found by running it on labelled lines.

What a TOML file states is checked, the rest is found:

- names, sizes and axes of the inputs stand in the file;
- the layout of the output, and what it holds, show when a batch is run;
- blank, scaling and place of the line are those of the usual ones with which the first test lines are read best.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from crnn.corpus import open_corpus
from crnn.corpus.lines import model_inputs
from crnn.formats.counts import format_module
from crnn.interface import OUTPUT_LAYOUTS, STRETCH, Interface, InterfaceError
from crnn.measure import trials
from crnn.measure.stated import at_width, of_file
from crnn.optimize.given import missing_children
from crnn.optimize.given_files import files_of, is_pickle, sha256_of, take_over
from crnn.registry import given
from crnn.registry.given import GivenModel
from crnn.runtimes.base import runtime_class
from crnn.text import seen, values_of

MOST_BYTES = 2 * 1024**3 - 1
"""Protocol buffers end there, and an artifact is one file."""
# Lines per batch while the output's axes are told apart: no number of classes, and hardly one of time steps.
_BATCH = 3
_LINES = 64  # on which scalings and blanks are tried


@dataclass(frozen=True)
class Inspected:
    """A model that has been looked at.

    Attributes:
        model: for the registry.
        interface: stated and found.
        found: the keys that were found, not stated.
        cer: of the first lines, as a fraction.
        why: how its width was chosen.
        doubts: about stated keys without which the lines are read far better.
    """

    model: GivenModel
    interface: Interface
    found: tuple[str, ...]
    cer: float
    why: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """What a user should know, a line each."""
        of, name = self.interface, given.name_of(Path(self.model.path))
        placed = of.resize if of.resize == STRETCH else f"{of.resize}, padding {of.padding}"
        scaled = f"black {of.black:g}, white {of.white:g}, mean {of.mean}, std {of.std}"
        return [
            *self.why,
            f"{of.images} {of.dtype} {of.layout} {of.height} x {of.width} x {of.channels}, {placed}, {scaled}",
            f"{of.output} {of.output_layout}, {of.time_steps} time steps, {len(of.alphabet)} characters, "
            f"blank {of.blank}, {of.values}",
            f"found, not stated: {', '.join(self.found) or 'nothing'}",
            f"CER of the first {_LINES} test lines: {self.cer:.4f}",
            *self.doubts,
            *(f"no row {name}{end}: {why}" for end, why in self.model.without.items()),
        ]


class _Raw(Interface):
    """An interface whose outputs stay as the model returns them."""

    def log_probs(self, output: np.ndarray) -> np.ndarray:
        """The output itself."""
        return output

    @classmethod
    def like(cls, interface: Interface) -> Self:
        """With the inputs of an interface."""
        return cls.of(interface.to_json())


def _weigh(*files: Path) -> None:
    if (size := sum(file.stat().st_size for file in files if file.is_file())) > MOST_BYTES:
        raise InterfaceError(f"{files[0]}: {size / 1024**3:.1f} GiB; models of 2 GiB and more are not supported")


def checked(path: Path) -> Path:
    """A model's file, by its absolute path.

    Raises:
        InterfaceError: there is no such file, or nothing here reads it; the message says what to do.
    """
    if not path.is_file():
        raise InterfaceError(f"{path}: no such file")
    if is_pickle(path):
        raise InterfaceError(
            f"{path}: a pickle can run any code when it is read, so none is read; export the model: "
            "torch.onnx.export(model, (images,), 'model.onnx', dynamo=True, dynamic_shapes=...) or torch.export.save"
        )
    if path.suffix not in given.KINDS:
        raise InterfaceError(f"{path}: no engine reads it; known are {', '.join(given.KINDS)}")
    _weigh(path)
    return path.absolute()


@contextmanager
def _engine_says(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Each engine has errors of its own; the first line of theirs says what is wrong.
        raise InterfaceError(f"{what}: {type(error).__name__}: {str(error).splitlines()[0]}") from error


class _Model:
    """A loaded model, which is run with different descriptions."""

    def __init__(self, path: Path, interface: Interface) -> None:
        """Load it.

        Raises:
            InterfaceError: its engine cannot load it; the message ends with the engine's.
        """
        self._path, kind = path, given.KINDS[path.suffix]
        self._engine = runtime_class(kind.runtime)()
        with TemporaryDirectory() as folder, _engine_says(f"{path} cannot be loaded"):
            artifact = Path(folder, f"model{kind.suffix}")
            take_over(path, artifact)
            self._engine.load(artifact, "cpu", interface=interface.to_json())

    def output(self, images: np.ndarray, kinds: np.ndarray, interface: Interface) -> np.ndarray:
        """What it returns for lines uint8 (B, H, W), untouched.

        Raises:
            InterfaceError: it cannot be run on them; the message ends with the engine's.
        """
        self._engine.interface = _Raw.like(interface)
        size = f"{len(images)} images of {interface.height} x {interface.width}"
        with _engine_says(f"{self._path} refuses {size} (height, width): other sizes may be stated"):
            return self._engine(*model_inputs(images, kinds))


def _of_output(output: np.ndarray, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Layout, time steps and values of an output for ``_BATCH`` lines.

    Raises:
        InterfaceError: it is not one distribution per line and time step.
    """
    if output.ndim != 3 or _BATCH not in output.shape[:2]:
        raise InterfaceError(f"output: not one distribution per line and time step, but {seen(output)}")
    layout = stated.get("output_layout", OUTPUT_LAYOUTS[output.shape[0] != _BATCH])
    return {"output_layout": layout, "time_steps": output.shape[layout.index("T")], "values": values_of(output)}


def inspect(
    path: Path, stated: Mapping[str, Any], corpus_folder: Path | None, width: int | str | None = None
) -> Inspected:
    """Look at a model.

    Args:
        path: its file.
        stated: keys of its interface that the user states.
        corpus_folder: of the corpus that it will read; None for the field corpus.
        width: of the images, if the file leaves it open; ``auto``: that of the corpus's images.

    Raises:
        InterfaceError: the file cannot be used, or a key has to be stated or looks wrong.
        CorpusError: the corpus cannot be read.
    """
    path = checked(path)
    try:
        ends = format_module(given.KINDS[path.suffix].format).ends(path)
    except ValueError as error:
        raise InterfaceError(str(error)) from None
    _weigh(*files_of(path))
    wide, why = at_width(ends, stated, corpus_folder, width)
    keys = {**of_file(ends, {**stated, **wide}), **stated}
    shown = Interface.of(keys)
    model = _Model(path, shown)
    noise = np.random.default_rng(0).integers(0, 256, (_BATCH, shown.height, shown.width), np.uint8)
    output = model.output(noise, np.zeros(_BATCH, np.uint8), shown)
    keys = _of_output(output, stated) | keys
    interface = Interface.of(keys)
    corpus = open_corpus(corpus_folder, [interface], skip_unfit=True)
    interface = replace(interface, alphabet=interface.alphabet or corpus.alphabet)
    interface.check(output, _BATCH, len(interface.alphabet) + 1)
    if lacking := sorted(set(corpus.alphabet) - set(interface.alphabet)):
        raise InterfaceError(f"alphabet lacks {''.join(lacking)!r}, which labels of the corpus have")
    lines = corpus.test.take(range(min(_LINES, len(corpus.test))))
    tried = list(trials.tried(model.output, interface, stated, lines))
    chosen, doubt = trials.better(trials.chosen(tried, stated), tried, stated)
    chosen, other_doubt = trials.better(chosen, trials.placed(model.output, chosen, lines), stated)
    trials.check_alphabet(tried, chosen, lines.labels)
    doubts = tuple(filter(None, (doubt, other_doubt)))
    found, json = chosen.interface, chosen.interface.to_json()
    given_model = GivenModel(str(path), sha256_of(path), json, missing_children(path, found))
    return Inspected(
        given_model, found, tuple(key for key in json if key not in stated), chosen.cer, tuple(why), doubts
    )
