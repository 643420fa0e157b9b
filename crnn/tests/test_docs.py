"""Tests and files named in the documentation exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in ROOT.glob("**/*.md") if not {".venv", ".git"} & set(path.parts))
TEST_NAME = re.compile(r"`(?P<file>test_\w+\.py)(?P<names>(::\w+)*)`")
PATH = re.compile(r"`(?P<path>(?:crnn|fixtures|benchmarks)/[\w./-]+)`|\]\((?P<link>[^):#]+)(?:#[\w-]*)?\)")


def definitions(file):
    """Classes and functions of a test file, with methods as ``Class::method``."""
    tree = ast.parse(file.read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
            inner = (part for part in node.body if isinstance(part, ast.FunctionDef))
            yield from (f"{node.name}::{part.name}" for part in inner)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
class TestPages:
    def test_names_tests_that_exist(self, page):
        """Every test named on a page exists."""
        missing = []
        for match in TEST_NAME.finditer(page.read_text("utf-8")):
            files = [folder / match["file"] for folder in (ROOT / "crnn" / "tests", ROOT / "benchmarks")]
            found = {name for file in files if file.exists() for name in ("", *definitions(file))}
            if match["names"].removeprefix("::") not in found:
                missing.append(match[0])

        assert missing == []

    def test_names_files_that_exist(self, page):
        """Every file or folder that a page names or links to exists; capitals are placeholders."""
        missing = []
        for match in PATH.finditer(page.read_text("utf-8")):
            place = ROOT / match["path"] if match["path"] else page.parent / match["link"]
            if not place.exists() and "NAME" not in place.name:
                missing.append(match[0])

        assert missing == []
