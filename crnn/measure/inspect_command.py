"""``python -m crnn inspect``: what a model of one's own takes and returns, as TOML."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crnn import interface
from crnn.corpus import parsed_width


def add_to(commands: Any) -> None:
    """Add the command to some subparsers."""
    looking = commands.add_parser("inspect", help="find what a model of your own takes and returns; prints it as TOML")
    looking.add_argument("model", type=Path, metavar="PATH")
    looking.add_argument("--corpus", type=Path, metavar="DIR", help="labelled lines; the field corpus by default")
    looking.add_argument("--interface", type=Path, metavar="FILE.toml", help="what of it you state")
    looking.add_argument(
        "--width", metavar="N|auto", help="of the images, if the file leaves it open; auto: chosen for the corpus's"
    )
    looking.add_argument("--json", action="store_true", help="for programs")
    looking.set_defaults(run=_inspect)


def _inspect(arguments: argparse.Namespace) -> None:
    from crnn.measure.inspection import inspect  # it imports engines

    stated = interface.read(arguments.interface) if arguments.interface else {}
    width = arguments.width and parsed_width(arguments.width)
    found = inspect(arguments.model, stated, arguments.corpus, width)
    notes = found.notes()
    if arguments.json:
        print(json.dumps({"model": asdict(found.model), "notes": notes}))  # noqa: T201 a command
        return
    print("\n".join(f"# {note}" for note in notes))  # noqa: T201 a command
    print(found.interface.to_toml(), end="")  # noqa: T201 a command
