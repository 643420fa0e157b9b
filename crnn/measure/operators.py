"""Which operators a variant really runs, and in which precision: from its engine's profiler."""

from collections.abc import Sequence

from crnn.measure.records import Operators
from crnn.measure.row import Runner
from crnn.measure.session import Session
from crnn.measure.workload import Workload
from crnn.runtimes.operators import FP32, Operator, is_matrix

_BATCH_SIZE, _CALLS = 32, 5
_HALF = {"bf16", "fp16"}


def measure(session: Session, runner: Runner) -> Operators | None:
    """Profile a batch in a fresh process; None if the engine does not tell.

    Args:
        session: provides corpus, device and time limit.
        runner: the measured variant.

    Raises:
        WorkerError: the worker failed.
    """
    workload = Workload.of(runner.variant, runner.artifact, session.corpus)
    with workload.process(session.limit_s) as worker:
        worker.ask("load", *workload.load_request(session.device, None))
        worker.ask("keep", *session.lines.at(workload.frame))
        found = worker.ask("profile", _BATCH_SIZE, _CALLS)
    return record(found, _BATCH_SIZE) if found else None


def record(operators: Sequence[Operator], batch_size: int) -> Operators:
    """The record of a profiled batch."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for operator in operators:
        seconds.setdefault((operator.kind, operator.precision), []).append(operator.seconds)
    matrix = {key: len(spent) for key, spent in seconds.items() if is_matrix(key[0])}
    return Operators(
        operators_s=sum(operator.seconds for operator in operators),
        operators_batch_size_lines=batch_size,
        matrix_operators=", ".join(f"{count} {kind} {precision}" for (kind, precision), count in matrix.items()),
        float_matrix_operators_count=sum(count for (_, precision), count in matrix.items() if precision == FP32),
        operators=[
            {"kind": kind, "precision": precision, "count": len(spent), "seconds": round(sum(spent), 7)}
            for (kind, precision), spent in sorted(seconds.items(), key=lambda item: -sum(item[1]))
        ],
    )


def matrix_precisions(found: Operators) -> set[str]:
    """The precisions in which convolutions, matrix products and LSTMs computed."""
    return {entry["precision"] for entry in found.operators if is_matrix(entry["kind"])}


def faults(found: Operators, precision: str) -> list[str]:
    """Why the profiled operators are not those of a row of this precision; empty if they are.

    Args:
        found: what ``measure`` returned.
        precision: in which the row claims to compute most of its MACs.
    """
    computed = matrix_precisions(found)
    if precision not in computed:
        return [f"no operator computes in {precision}: {found.matrix_operators}"]
    # An engine quantizes nothing by itself: int8 LSTMs beside float convolutions are the row's own.
    if lower := computed & _HALF - {precision}:
        return [f"operators compute in {', '.join(sorted(lower))}, not in {precision}: {found.matrix_operators}"]
    return []
