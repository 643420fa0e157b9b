"""Run a study, or fill all tables into ``crnn/optimize/README.md``."""

import argparse
import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from crnn.optimize.studies.common import HERE, PAGE
from crnn.report import documents


def studies() -> Mapping[str, ModuleType]:
    """All modules of the package that have a table, by name."""
    names = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))
    modules = {name: importlib.import_module(f"crnn.optimize.studies.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "table")}


def filled(page: str) -> str:
    """The page with each study's table between its markers.

    Raises:
        ValueError: the page lacks a study's markers.
    """
    try:
        return documents.filled(page, {name: study.table() for name, study in studies().items()})
    except ValueError as error:
        raise ValueError(f"{PAGE}: {error}") from None


def main() -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser("python -m crnn.optimize.studies", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run one study and write its results beside it")
    run.add_argument("study", choices=[name for name, study in studies().items() if hasattr(study, "run")])
    run.add_argument(
        "--models",
        type=Path,
        default=Path("studies"),
        help="folder for models and checkpoints; for rebuilds: the other checkout",
    )
    commands.add_parser("page", help="fill the tables into the page")
    given = parser.parse_args()
    if given.command == "page":
        PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
        return 0
    given.models.mkdir(parents=True, exist_ok=True)
    content = {"study": given.study, "rows": studies()[given.study].run(given.models)}
    (HERE / f"{given.study}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
