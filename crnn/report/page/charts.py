"""The plots, as Vega-Lite by Altair: declarative, drawn as SVG, with labels that a screen reader reads."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crnn.report.results import ReportError

Points = Sequence[Mapping[str, Any]]
FIGURES = (".svg", ".png", ".pdf")
_ACROSS = {"ms per call": "ms", "ms per line": "ms_per_line", "p95, ms per call": "p95_ms"}
_SIZES = {"peak memory, MB": "memory_mb", "file, MB": "file_mb", "parameters": "parameters"}
_TOOLTIPS = ("row", "technique", "engine", "precision", "batch", "ms", "p95_ms", "ms_per_line", "cer", "memory_mb",
             "file_mb", "parameters", "run")  # fmt: skip


def _altair() -> Any:
    try:
        import altair
    except ImportError:
        raise ReportError("plots need Altair, which is not installed; install requirements.txt") from None
    altair.data_transformers.disable_max_rows()
    return altair


def _chosen(altair: Any, name: str, label: str, options: Mapping[str, Any]) -> Any:
    """A parameter that the reader chooses."""
    values = list(options.values())
    bound = altair.binding_select(options=values, labels=list(map(str, options)), name=f"{label} ")
    return altair.param(name=name, value=values[0], bind=bound)


def _tooltips(altair: Any) -> list[Any]:
    shown = {"ms": ".3~g", "p95_ms": ".3~g", "ms_per_line": ".3~g", "cer": ".2f", "memory_mb": ".0f", "file_mb": ".2f",
             "parameters": ","}  # fmt: skip
    kinds = {name: "Q" if name in shown or name == "batch" else "N" for name in _TOOLTIPS}
    return [
        altair.Tooltip(f"{name}:{kinds[name]}", **({"format": shown[name]} if name in shown else {}))
        for name in _TOOLTIPS
    ]


def pareto(points: Points, *, batch: int | None = None) -> Any:
    """Time of a call against CER, with both intervals; rows that another one dominates are faint.

    Args:
        points: of ``Shown.points``.
        batch: lines per call of a figure that nobody can change; None: the reader chooses.
    """
    altair = _altair()
    sizes = {str(size): size for size in sorted({point["batch"] for point in points})}
    read = [point for point in points if point["cer"] is not None]
    chart = altair.Chart(altair.Data(values=list(read)))
    if batch is None:
        params = [
            _chosen(altair, "batch", "lines per call", sizes),
            _chosen(altair, "across", "across", _ACROSS),
            _chosen(altair, "area", "area of the marks", _SIZES),
        ]
        chart = chart.transform_filter("datum.batch == batch").transform_calculate(
            x="datum[across]",
            low="isValid(datum[across + '_low']) ? datum[across + '_low'] : datum[across]",
            high="isValid(datum[across + '_high']) ? datum[across + '_high'] : datum[across]",
            size="datum[area]",
        )
        heading = "time of a call (chosen below)"
    else:
        params = []
        chart = chart.transform_filter(f"datum.batch == {batch}").transform_calculate(
            x="datum.ms", low="datum.ms_low", high="datum.ms_high", size="datum.memory_mb"
        )
        heading = f"ms per call of {batch} line{'s' * (batch > 1)}"
    across = altair.X("x:Q", title=heading, scale=altair.Scale(type="log", nice=False))
    up = altair.Y("cer:Q", title="CER, %", scale=altair.Scale(zero=False))
    faint = altair.condition("datum.dominated", altair.value(0.35), altair.value(1))
    colour = altair.Color("engine:N", title="engine", scale=altair.Scale(scheme="tableau10"))
    marks = chart.mark_point(filled=True).encode(
        x=across,
        y=up,
        color=colour,
        shape=altair.Shape("precision:N", title="precision"),
        size=altair.Size("size:Q", title=None, legend=None, scale=altair.Scale(range=[40, 400])),
        opacity=faint,
        tooltip=_tooltips(altair),
    )
    over = chart.mark_rule().encode(x="low:Q", x2="high:Q", y=up, color=colour, opacity=faint)
    along = chart.mark_rule().encode(x=across, y="cer_low:Q", y2="cer_high:Q", color=colour, opacity=faint)
    names = (
        chart.transform_filter("!datum.dominated")
        .mark_text(align="left", dx=8, dy=-8, fontSize=10)
        .encode(x=across, y=up, text="row:N")
    )
    layers = altair.layer(over, along, marks, names).properties(width="container" if batch is None else 620, height=380)
    return _styled(layers.add_params(*params) if params else layers)


def curves(points: Points) -> Any:
    """Time per line against lines per call, both in logarithms; the chosen row with a fitted line and its n½."""
    altair = _altair()
    names = list(dict.fromkeys(point["row"] for point in points))
    row = _chosen(altair, "chosen", "row", {name: name for name in names})
    base = altair.Chart(altair.Data(values=list(points)))
    chosen = altair.condition("datum.row == chosen", altair.value(1), altair.value(0.15))
    across = altair.X("batch:Q", title="lines per call", scale=altair.Scale(type="log", base=2))
    up = altair.Y("ms_per_line:Q", title="ms per line", scale=altair.Scale(type="log"))
    lines = base.mark_line(point=True).encode(
        x=across, y=up, detail="row:N", color=altair.Color("engine:N", title="engine"), opacity=chosen,
        tooltip=_tooltips(altair),
    )  # fmt: skip
    fits = altair.Chart(
        altair.Data(values=[value for name in names for value in fitted(points, name)])
    ).transform_filter("datum.row == chosen")
    line = fits.mark_line(strokeDash=[4, 3], color="gray").encode(x=across, y="fit:Q", tooltip=["row:N", "half:Q"])
    floor = fits.transform_filter("isValid(datum.peak)").mark_line(color="gray").encode(x=across, y="peak:Q")
    return _styled(altair.layer(lines, line, floor).add_params(row).properties(width="container", height=340))


def fitted(points: Points, name: str) -> list[dict[str, Any]]:
    """A row's fitted line a + b·n as time per line, with n½ = a/b; and the time per line at the machine's peak.

    The fit is least squares with relative errors, through the measured sizes; empty where there are fewer than two.
    """
    own = sorted(
        (point["batch"], point["ms"], point.get("peak_ms_per_line")) for point in points if point["row"] == name
    )
    if len({size for size, _, _ in own}) < 2:
        return []
    weights = [1 / ms**2 for _, ms, _ in own]
    total = sum(weights)
    across = sum(weight * size for weight, (size, _, _) in zip(weights, own, strict=True)) / total
    up = sum(weight * ms for weight, (_, ms, _) in zip(weights, own, strict=True)) / total
    slope = sum(w * (size - across) * (ms - up) for w, (size, ms, _) in zip(weights, own, strict=True)) / sum(
        w * (size - across) ** 2 for w, (size, _, _) in zip(weights, own, strict=True)
    )
    fixed = up - slope * across
    half = round(fixed / slope, 1) if slope > 0 else None
    return [
        {"row": name, "batch": size, "fit": fixed / size + slope, "half": half, "peak": peak}
        for size, _, peak in own
        if fixed / size + slope > 0
    ]


def history(values: Points) -> Any:
    """Ratios to the anchor over runs of one machine, with the gate's verdicts as marks and change points as rules."""
    altair = _altair()
    names = list(dict.fromkeys(value["row"] for value in values))
    base = altair.Chart(altair.Data(values=list(values))).transform_filter("datum.row == kept")
    across = altair.X("run:N", title="run, oldest first", sort=list(dict.fromkeys(value["run"] for value in values)))
    line = base.mark_line(color="gray").encode(x=across, y=altair.Y("ratio:Q", title="time of a call / anchor's"))
    marks = base.mark_point(filled=True, size=80).encode(
        x=across, y="ratio:Q", color=altair.Color("verdict:N", title="gate"), tooltip=["run:N", "ratio:Q", "verdict:N"]
    )
    changed = base.transform_filter("datum.changed").mark_rule(strokeDash=[3, 3]).encode(x=across)
    row = _chosen(altair, "kept", "row", {name: name for name in names})
    return _styled(altair.layer(line, changed, marks).add_params(row).properties(width="container", height=260))


def _styled(chart: Any) -> Any:
    """Transparent, in the text's colour: so it fits a light and a dark page."""
    return (
        chart.configure(background="transparent", font="system-ui, sans-serif")
        .configure_axis(labelColor="currentColor", titleColor="currentColor", gridOpacity=0.25)
        .configure_legend(
            labelColor="currentColor",
            titleColor="currentColor",
            orient="bottom",
            columns={"expr": "width < 500 ? 2 : 4"},
        )
        .configure_text(color="currentColor")
        .configure_view(stroke=None)
    )


def svg(chart: Any) -> str:
    """A figure for a document, as SVG."""
    with io.StringIO() as text:
        _on_paper(chart).save(text, format="svg")
        return text.getvalue()


def save(chart: Any, path: Path) -> None:
    """Write a figure for a document.

    Raises:
        ReportError: its suffix is none of ``FIGURES``.
    """
    if path.suffix not in FIGURES:
        raise ReportError(f"--figure {path}: expected a name that ends in {', '.join(FIGURES)}")
    _on_paper(chart).save(str(path), **({"scale_factor": 2} if path.suffix == ".png" else {}))


def _on_paper(chart: Any) -> Any:
    """A figure on white: a file has no page whose colour it could take."""
    return chart.configure_text(color="black").configure_axis(labelColor="black", titleColor="black").configure_legend(
        labelColor="black", titleColor="black", orient="right", columns=1
    )  # fmt: skip
