"""The page: content, plots and templates in one file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crnn.corpus import Corpus
from crnn.report.criteria import CRITERIA, OBJECTIVES, label
from crnn.report.page import charts, history
from crnn.report.page.content import LIMITS, Shown, shown
from crnn.report.page.joined import side_by_side
from crnn.report.results import ReportError

TEMPLATES = Path(__file__).with_name("templates")
# How a slider's value is written: factor and unit, as in ``--max``.
_UNITS = {"memory": (1e6, "MB"), "cer_loss": (1e-2, "pp"), "bytes": (1e6, "MB")}


def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script.

    Raises:
        ReportError: the package that holds them is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise ReportError(
            "the page needs vl-convert-python, which is not installed; install requirements.txt"
        ) from None
    # A script in a page ends at the first such tag, wherever it is.
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    return bundle.replace("</script", "<\\/script")


def _embedded(value: Any) -> str:
    """JSON that can stand in a script."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")


def _plots(run: Shown) -> dict[str, Any]:
    """The specifications of a run's plots, by the id of their place; empty without latencies."""
    points = run.points
    if not points:
        return {}
    found = {"curves": charts.curves(points).to_dict()}
    if any(point["cer"] is not None for point in points):
        found = {"pareto": charts.pareto(points).to_dict(), **found}
    return found


def html(runs: Sequence[tuple[str, Any]], corpus: Corpus | None = None) -> str:
    """The page of one or several runs, each given by label and JSON; with a user's corpus, it has pictures of lines.

    Rows are joined by name; speed-ups are those of each run, never mixed across runs.

    Raises:
        ReportError: a JSON is none of this suite's, the runs read different corpora, or a package is missing.
    """
    try:
        import jinja2
    except ImportError:
        raise ReportError("the page needs Jinja2, which is not installed; install requirements.txt") from None
    several = shown(runs, corpus)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    plots = {f"{name}-{at}": spec for at, run in enumerate(several) for name, spec in _plots(run).items()}
    machines = {json.dumps(run.content.get("machine_info", {}).get("fingerprint")) for run in several}
    kept = history.values(several) if len(machines) == 1 else []
    if kept:
        plots["history"] = charts.history(kept).to_dict()
    return environment.get_template("page.html.j2").render(
        runs=several,
        joined=side_by_side(several) if len(several) > 1 else None,
        label=label,
        history=kept,
        criteria=[CRITERIA[name] for name in LIMITS],
        units=_UNITS,
        objectives=[CRITERIA[name] for name in OBJECTIVES],
        style=(TEMPLATES / "page.css").read_text("utf-8"),
        script=(TEMPLATES / "page.js").read_text("utf-8"),
        bundle=_bundle() if plots else "",
        data=_embedded(
            {
                "plots": plots,
                "choices": [run.choices for run in several],
                "limits": list(LIMITS),
                "units": _UNITS,
                "wishes": [{str(size): dict(run.wish(size).limits) for size in run.results.sizes} for run in several],
            }
        ),
    )
