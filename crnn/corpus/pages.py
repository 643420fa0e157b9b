"""Lines of whole pages: PAGE XML and ALTO, which say where each line is and what it says."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from crnn.corpus.images import cropped, opened, regular_file
from crnn.corpus.listings import Entries, Entry, Faults

Box = tuple[int, int, int, int]
_PAGE, _ALTO = "PcGts", "alto"


def _local(element: Any) -> str:
    """An element's name without its namespace, which differs between versions; empty for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _inside(element: Any, *names: str) -> Iterator[Any]:
    """The descendants of these names, in the order of the document."""
    return (found for found in element.iter() if _local(found) in names)


def _child(element: Any, name: str) -> Any:
    return next((found for found in element if _local(found) == name), None)


def _page_lines(root: Any) -> Iterator[tuple[str, str | None, Box | None]]:
    """Id, text and bounding box of each line of a PAGE file; of several texts the first in the order of ``index``."""
    for line in _inside(root, "TextLine"):
        equivalents = [one for one in line if _local(one) == "TextEquiv"]
        chosen = min(equivalents, key=lambda one: int(one.get("index", 0)), default=None)
        text = None if chosen is None else _child(chosen, "Unicode")
        coordinates = _child(line, "Coords")
        points = [] if coordinates is None else [pair.split(",") for pair in coordinates.get("points", "").split()]
        box = None
        if points:
            across, down = ([int(float(pair[axis])) for pair in points] for axis in (0, 1))
            box = min(across), min(down), max(across) + 1, max(down) + 1
        yield line.get("id", "?"), None if text is None else text.text, box


def _alto_lines(root: Any) -> Iterator[tuple[str, str | None, Box | None]]:
    """Id, text and bounding box of each line of an ALTO file; words are joined where the file has a space."""
    for line in _inside(root, "TextLine"):
        parts = [
            " " if _local(part) == "SP" else part.get("CONTENT", "") for part in _inside(line, "String", "SP", "HYP")
        ]
        try:
            left, upper, width, height = (int(float(line.get(name))) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
            box: Box | None = (left, upper, left + width, upper + height)
        except TypeError:
            box = None
        yield line.get("ID", "?"), "".join(parts) or None, box


def _image_name(root: Any) -> str | None:
    if _local(root) == _PAGE:
        page = next(_inside(root, "Page"), None)
        return None if page is None else page.get("imageFilename")
    name = next(_inside(root, "fileName"), None)
    return None if name is None else name.text


def _decoded(folder: Path, name: str) -> Image.Image:
    with opened(regular_file(folder, name)) as image:
        image.load()
        return image.copy()


def _lines_of(folder: Path, listing: Path, faults: Faults, etree: Any) -> Entries:
    place = listing.relative_to(folder).as_posix()
    # No entity is resolved and nothing is fetched: the file is a stranger's.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.parse(str(regular_file(folder, place)), parser).getroot()
    except etree.XMLSyntaxError as error:
        faults.append(f"{place}: not XML: {error}")
        return
    if _local(root) not in (_PAGE, _ALTO):
        faults.append(f"{place}: neither PAGE nor ALTO: its root is {_local(root)}")
        return
    if not (name := _image_name(root)):
        faults.append(f"{place}: names no image")
        return
    within = (listing.parent.relative_to(folder) / name).as_posix()
    # A page is decoded once for all of its lines.
    page: Callable[[], Image.Image] = functools.cache(functools.partial(_decoded, folder, within))
    for identity, text, box in (_page_lines if _local(root) == _PAGE else _alto_lines)(root):
        where = f"{place} (line {identity})"
        if text is None:
            continue  # a line that nobody transcribed
        if box is None:
            faults.append(f"{where}: has no coordinates")
            continue
        yield Entry(where, text, None, functools.partial(cropped, page, box))


def pages(folder: Path, faults: Faults) -> Entries:
    """All transcribed lines of the PAGE and ALTO files in a folder and its subfolders.

    Raises:
        ValueError: lxml is not installed.
    """
    try:
        from lxml import etree
    except ImportError:
        raise ValueError("reading this form needs lxml, which is not installed; install requirements.txt") from None
    for listing in sorted(folder.rglob("*.xml")):
        yield from _lines_of(folder, listing, faults, etree)
