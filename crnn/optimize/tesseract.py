"""Tesseract's own model of a language, as it is installed."""

import shutil
from typing import Any

from crnn.formats import traineddata_file
from crnn.optimize.recipe import Build, RecipeError

_LATIN, _CYRILLIC = "eng", "rus"


def language_of(alphabet: str) -> str:
    """The language of Tesseract for these characters."""
    return _CYRILLIC if any("\u0400" <= character <= "\u04ff" for character in alphabet) else _LATIN


def adopt(build: Build) -> dict[str, Any]:
    """Copy the file of the language that the corpus is in.

    Raises:
        RecipeError: it is not installed.
    """
    language = language_of(build.corpus.alphabet)
    if (file := traineddata_file.installed(language)) is None:
        raise RecipeError(f"Tesseract has no {language}: apt install tesseract-ocr-{language}")
    shutil.copy(file, build.target)
    return {"language": language, "file": file.name}
