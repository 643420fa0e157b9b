"""Keep a study of batch sizes, measured in one or several runs, and fill its tables and figures into ``README.md``.

pytest benchmarks/test_batch_scaling.py --benchmark-json=run.json
python -m crnn.scaling keep run.json
python -m crnn.scaling page
"""

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from crnn import registry
from crnn.report import documents
from crnn.scaling import causes, figures, serve, tables
from crnn.scaling.kept import keep, kept
from crnn.scaling.model import Model, model_of
from crnn.scaling.service import LINES

HERE = Path(__file__).parent
PAGE, SERVICES = HERE / "README.md", HERE / "services.json"


def models() -> list[Model]:
    """The models of all rows that were kept, in the registry's order."""
    order = {name: index for index, name in enumerate(registry.names())}
    return [model_of(times) for times in sorted(kept(), key=lambda times: order.get(times.name, len(order)))]


def _limits_of(model: Model) -> list[dict[str, float]]:
    """What ``services.json`` holds of a row: the best rate and its policy under each limit."""
    found = []
    for limit in tables.LIMITS_S:
        rate, policy = tables.served(model, limit, LINES)
        found.append(
            {"rate": rate, "most_lines": policy.most_lines, "wait_s": policy.wait_s} if policy else {"rate": 0.0}
        )
    return found


def services() -> None:
    """Simulate each row's services; takes minutes."""
    rows = models()
    with ProcessPoolExecutor() as workers:
        found = dict(zip((row.times.name for row in rows), workers.map(_limits_of, rows), strict=True))
    SERVICES.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def filled(page: str) -> str:
    """The page with each table between its markers.

    Raises:
        ValueError: the page lacks markers.
    """
    rows = models()
    return documents.filled(
        page,
        {
            "models": tables.models(rows),
            "crossings": tables.crossings(rows),
            "services": tables.services(json.loads(SERVICES.read_text("utf-8"))),
            "causes": tables.causes(json.loads(causes.KEPT.read_text("utf-8"))),
            "served": tables.served_rows(json.loads(serve.KEPT.read_text("utf-8"))),
        },
    )


def main() -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser("python -m crnn.scaling", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keep", help="keep the rows of a run of the study").add_argument(
        "run", type=Path, metavar="RUN.json"
    )
    commands.add_parser("services", help="simulate services of the kept rows")
    commands.add_parser("page", help="fill tables and figures into the page")
    given = parser.parse_args()
    try:
        match given.command:
            case "keep":
                keep(given.run)
            case "services":
                services()
            case _:
                PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
                figures.draw(models(), HERE)
                figures.draw_causes(json.loads(causes.KEPT.read_text("utf-8")), HERE)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 a command
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
