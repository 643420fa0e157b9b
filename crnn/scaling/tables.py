"""The tables of the study, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crnn import registry
from crnn.measure.speedup import Estimate as OverProcesses
from crnn.report.documents import markdown
from crnn.scaling.causes import CAUSES, found
from crnn.scaling.crossings import crossing, winners
from crnn.scaling.model import Estimate, Model
from crnn.scaling.service import Policy, Service

POLICIES = tuple(Policy(most, wait) for most in (1, 4, 16, 64, 256) for wait in (0.0, 0.005))
LIMITS_S = (0.010, 0.050, 0.200)
# Conversions round differently; half precision and int8 differ by more.
_ROUNDING = 1e-3


def _shown(estimate: Estimate, form: str, scale: float = 1.0) -> str:
    low, high = (f"{scale * end:{form}}" for end in (estimate.low, estimate.high))
    return f"{scale * estimate.value:{form}} [{low}, {high}]"


def _rate(per_line: Estimate) -> str:
    """Lines per second, of seconds per line; the upper end is open if the lower end of the seconds is not positive."""
    high = f"{1 / per_line.low:,.0f}" if per_line.low > 0 else "-"
    return f"{1 / per_line.value:,.0f} [{1 / per_line.high:,.0f}, {high}]"


def _pieces(model: Model) -> str:
    """The verdict on the model, and where its pieces begin."""
    starts = [str(piece.first) for piece in model.function.pieces[1:]]
    return model.verdict + (f" (from {', '.join(starts)})" if starts else "")


def _per_line(model: Model) -> tuple[str, str, str]:
    """Milliseconds per line at the smallest size, the least and where, and at the largest."""
    sizes = model.times.sizes
    per_line = 1e3 * model.times.typical / sizes
    best = int(per_line.argmin())
    return f"{per_line[0]:.3g}", f"{per_line[best]:.3g} ({sizes[best]})", f"{per_line[-1]:.3g}"


def models(found: Sequence[Model]) -> str:
    """A row per variant: a, 1/b and n½ of the straight line, the accepted model, and the error at held-out sizes."""
    rows = [
        (
            f"`{model.times.name}`",
            model.times.runtime,
            _pieces(model),
            _shown(model.fixed, ".2f", 1e3),
            _rate(model.per_line),
            _shown(model.half_size, ".1f"),
            *_per_line(model),
            f"{100 * float(np.median(model.held_out_errors)):.1f}",
            f"{100 * float(model.held_out_errors.max()):.1f}",
        )
        for model in found
    ]
    fitted = ("row", "engine", "model", "a, ms", "1/b, lines/s", "n½")
    headings = (*fitted, "ms per line: one", "least (at)", "largest", "held out, median %", "largest %")
    accepted = [model for model in found if not model.rejected]
    rejected = [f"`{model.times.name}`" for model in found if model.rejected]
    error = float(np.median([error for model in accepted for error in model.held_out_errors]))
    summary = (
        f"Accepted: {len(accepted)} of {len(found)} rows, with a median error of {100 * error:.1f} % at held-out "
        f"sizes. Rejected: {', '.join(rejected) or 'none'}."
    )
    return f"{markdown(headings, rows, texts=3)}\n\n{summary}"


def _computes_the_original(name: str) -> bool:
    """Whether a row is an original, or computes the same function in float32."""
    if name not in registry.names():
        return False
    row = registry.get(name)
    limit = row.thresholds.max_log_prob_difference
    if row.parent is None:
        return True
    return not row.trained and limit is not None and limit <= _ROUNDING and _computes_the_original(row.parent)


def crossings(found: Sequence[Model]) -> str:
    """The fastest row from the smallest to the largest size, and the interval of each change.

    Of all rows, then of those that compute what the originals do.
    """
    by_name, rows = {model.times.name: model for model in found}, []
    exact = [model for model in found if _computes_the_original(model.times.name)]
    for among, group in (("all", found), ("the originals, converted", exact)):
        reigns = winners(group) if group else []
        for before, reign in zip([None, *reigns], reigns, strict=False):
            met = crossing(by_name[before.name], by_name[reign.name]) if before else None
            interval = f"{met.low} to {met.high or f'above {reign.last}'}" if met else "-"
            rows.append((among, f"{reign.first} to {reign.last}", f"`{reign.name}`", interval))
    return markdown(("of the rows", "lines per call", "fastest", "95 % interval of the change"), rows, texts=3)


def served(model: Model, limit_s: float, lines: int) -> tuple[float, Policy | None]:
    """The highest rate of a row under a limit, and its policy; 0 and None if no rate meets it.

    Args:
        model: of the row.
        limit_s: of the 99th percentile.
        lines: arrivals per simulation.
    """
    best: tuple[float, Policy | None] = (0.0, None)
    largest = int(model.times.sizes[-1])
    noise = np.random.default_rng(2026).normal(1.0, model.within, 4096).clip(0.5)
    for policy in POLICIES:
        if policy.most_lines <= largest:
            service = Service(model.function, policy, noise)
            # A policy whose saturation is below what another reaches cannot win.
            if service.saturation > best[0] and (rate := service.best_rate(limit_s, lines)) > best[0]:
                best = rate, policy
    return best


def services(kept: Mapping[str, Any]) -> str:
    """Lines per second under each limit, and the policy that reaches it; ``kept`` is what ``services.json`` holds."""

    def cell(entry: Mapping[str, Any]) -> str:
        if not entry["rate"]:
            return "-"
        return f"{entry['rate']:,.0f} ({entry['most_lines']}, {1000 * entry['wait_s']:.0f} ms)"

    rows = [(f"`{name}`", *map(cell, limits)) for name, limits in kept.items()]
    headings = ("row", *(f"p99 at most {1000 * limit:.0f} ms" for limit in LIMITS_S))
    return markdown(headings, rows)


def _paired(estimate: OverProcesses) -> str:
    low, high = estimate.interval or (float("nan"), float("nan"))
    return f"{estimate.value:.3f} [{low:.3f}, {high:.3f}]"


def causes(kept: Mapping[str, Any]) -> str:
    """A row per experiment; ``kept`` is what ``causes.json`` holds."""
    rows = []
    for cause in CAUSES:
        result = found(cause, kept[cause.name])
        rows.append(
            (
                f"`{cause.name}`",
                cause.engine,
                cause.question,
                (cause.number.__doc__ or "").partition(":")[0].rstrip("."),
                _paired(result.there),
                _paired(result.off),
                "yes" if result.shrinks else "no",
            )
        )
    headings = ("experiment", "engine", "question", "number", "with the cause", "without", "shrinks")
    return markdown(headings, rows, texts=4)


def served_rows(kept: Mapping[str, Any]) -> str:
    """Simulated and measured 99th percentiles; ``kept`` is what ``served.json`` holds."""
    rows = [
        (
            f"`{name}`",
            f"{100 * one['share']:.0f} %",
            f"{one['rate']:,.0f}",
            f"{1e3 * one['predicted_p99_s']:.1f}",
            f"{1e3 * one['measured_p99_s']:.1f}",
            f"{100 * (one['predicted_p99_s'] / one['measured_p99_s'] - 1):+.0f} %",
        )
        for name, rates in kept["rows"].items()
        for one in rates
    ]
    headings = ("row", "of saturation", "lines/s", "p99 simulated, ms", "p99 measured, ms", "difference")
    return markdown(headings, rows)
