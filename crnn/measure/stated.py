"""Names, sizes and axes of a model's inputs and output: as its file has them, checked with what the user states."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crnn.corpus.user import width_of_images
from crnn.formats.ends import Ends, Tensor
from crnn.interface import BUILT_IN, InterfaceError

_CHANNELS = (1, 3)


def _listed(tensors: Sequence[Tensor]) -> str:
    return ", ".join(map(str, tensors))


def _named(key: str, tensors: Sequence[Tensor], stated: Mapping[str, Any]) -> Tensor | None:
    """The input or output that the user names; None if no name is stated.

    Raises:
        InterfaceError: there is none of that name.
    """
    if not (name := stated.get(key)):
        return None
    if found := next((tensor for tensor in tensors if tensor.name == name), None):
        return found
    raise InterfaceError(f"{key} = {name!r}: the model has {_listed(tensors)}")


def _is_field(tensor: Tensor) -> bool:
    return tensor.name == BUILT_IN.field and len(tensor.shape) == 3 and tensor.shape[2] == 2


def _inputs(ends: Ends, stated: Mapping[str, Any]) -> tuple[Tensor, Tensor | None]:
    """The input for images, and that for the line's kind.

    Raises:
        InterfaceError: it is not clear which is which, or there are more.
    """
    images, field = (_named(key, ends.inputs, stated) for key in ("images", "field"))
    if field is None and "field" not in stated:
        field = next(filter(_is_field, ends.inputs), None)
    others = [tensor for tensor in ends.inputs if tensor is not field]
    if images is None:
        candidates = [tensor for tensor in others if len(tensor.shape) in (0, 3, 4)]
        if len(candidates) != 1:
            raise InterfaceError(f"images: which input takes the images? The model has {_listed(ends.inputs)}")
        [images] = candidates
    if further := [tensor for tensor in others if tensor is not images]:
        raise InterfaceError(f"field: the model needs {_listed(further)}; beside images only the line's kind is given")
    return images, field


def _layout(shape: tuple[int, ...]) -> str:
    """The axes of an input for images, by where one or three channels can be; a line is wider than it is high."""
    channels = None if len(shape) == 3 else 3 if shape[3] in _CHANNELS and shape[1] not in _CHANNELS else 1
    first, second = (size for axis, size in enumerate(shape) if axis not in (0, channels))
    # An open size is the width's.
    plane = "WH" if (second and not first) or first > second > 0 else "HW"
    return {None: f"B{plane}", 1: f"BC{plane}", 3: f"B{plane}C"}[channels]


def _sizes(images: Tensor, layout: str, stated: Mapping[str, Any]) -> dict[str, int]:
    """Height, width and channels.

    Raises:
        InterfaceError: one is open and not stated, or is stated otherwise.
    """
    fixed = dict(zip(layout, images.shape or (0,) * len(layout), strict=True))
    if fixed["B"]:
        raise InterfaceError(
            f"images: {images} takes batches of {images.shape[0]}; export the model with an open batch size, axis 0"
        )
    found = {}
    for key, axis in (("height", "H"), ("width", "W"), ("channels", "C")):
        size = fixed.get(axis, 1)  # without an axis for channels there is one
        if size and stated.get(key, size) != size:
            raise InterfaceError(f"{key} = {stated[key]} looks wrong: the input is {images}")
        if not size and key not in stated:
            option = ", or give --width" if key == "width" else ""
            example = f"`{key} = {getattr(BUILT_IN, key)}`"
            raise InterfaceError(f"{key}: open in {images}; state it, such as {example}{option}")
        found[key] = size or stated[key]
    return found


def _height_of_open_width(ends: Ends, stated: Mapping[str, Any]) -> int | None:
    """The height of the images, if the file leaves their width open; None if it does not, or if both are open.

    Args:
        ends: inputs and outputs of the file.
        stated: keys of an interface that the user states.

    Raises:
        InterfaceError: it is not clear which input takes the images.
    """
    images, _ = _inputs(ends, stated)
    layout = stated.get("layout") or _layout(images.shape or (0,) * len("BHW"))
    fixed = dict(zip(layout, images.shape, strict=False))
    if fixed.get("W") or "width" in stated:
        return None
    return fixed.get("H") or stated.get("height")


def at_width(
    ends: Ends, stated: Mapping[str, Any], corpus_folder: Path | None, width: int | str | None
) -> tuple[dict[str, Any], list[str]]:
    """The width of a model whose file leaves it open, as a key of its interface, and why; nothing for others.

    Args:
        ends: inputs and outputs of the file.
        stated: keys of an interface that the user states.
        corpus_folder: of the corpus that it will read; None for the field corpus.
        width: the asked one; ``auto``: that of the corpus's images.

    Raises:
        InterfaceError: it is not clear which input takes the images.
        CorpusError: the corpus cannot be read.
    """
    height = None if width is None else _height_of_open_width(ends, stated)
    if height is None or width is None:
        return {}, []
    if isinstance(width, int):
        return {"width": width}, []
    if corpus_folder is None:
        return {"width": BUILT_IN.width}, []
    chosen, why = width_of_images(corpus_folder, height)
    return {"width": chosen}, [why]


def of_file(ends: Ends, stated: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says.

    Args:
        ends: inputs and outputs of the file.
        stated: keys of an interface that the user states.

    Returns:
        Keys of an interface; where the user states one, the same.

    Raises:
        InterfaceError: a key has to be stated, or does not fit; the message names it, and what the file has.
    """
    images, field = _inputs(ends, stated)
    if not images.shape and "layout" not in stated:
        raise InterfaceError(
            f"layout: the file does not tell the axes of {images}; state it, such as `layout = 'BCHW'`"
        )
    layout = stated.get("layout") or _layout(images.shape)
    if images.shape and len(layout) != len(images.shape):
        raise InterfaceError(f"layout = {layout!r} looks wrong: the input is {images}")
    output = _named("output", ends.outputs, stated)
    if output is None:
        if len(ends.outputs) != 1:
            raise InterfaceError(f"output: which one holds the classes? The model has {_listed(ends.outputs)}")
        [output] = ends.outputs
    return {
        "images": images.name,
        "layout": layout,
        "dtype": images.dtype,
        **_sizes(images, layout, stated),
        "field": field.name if field else "",
        "output": output.name,
    }
