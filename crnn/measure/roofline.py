"""The roofline: what share of the best matrix product of its precision a row reaches on the same cores.

After Williams, Waterman and Patterson, "Roofline: an insightful visual performance model" (CACM 2009); here only
its flat part, the peak of computation. What a row lacks is memory traffic, layers without MACs, small products,
steps of LSTMs that wait for each other, and threads that wait.
"""

from collections.abc import Mapping
from dataclasses import replace

from crnn.corpus.lines import Lines
from crnn.measure.records import Latency
from crnn.measure.workload import LIMIT_S, Workload
from crnn.runtimes.base import is_cpu, missing, runtime_class
from crnn.runtimes.matmul_runtime import FORMS, SIZE

ENGINE = "matmul"
PRECISIONS = ("fp32", "bf16", "int8")
# Per form.
_WARMUP_CALLS, _CALLS = 3, 12


def peaks(lines: Lines, limit_s: float = LIMIT_S) -> dict[str, float]:
    """MACs per second of the best of some matrix products, by precision, on all usable cores.

    A precision that the processor has no kernels for is left out; empty if OpenVINO is not installed.

    Args:
        lines: at least one; a worker needs some.
        limit_s: see ``WorkerProcess``.

    Raises:
        WorkerError: a product failed.
    """
    found: dict[str, float] = {}
    if missing(ENGINE):
        return found
    for precision in PRECISIONS:
        options = {"precision": precision}
        if runtime_class(ENGINE).unsupported("cpu", **options):
            continue
        workload = Workload(f"{precision} product", ENGINE, options=options)
        with workload.process(limit_s) as worker:
            worker.ask("load", *workload.load_request("cpu", None))
            worker.ask("keep", lines.images[:1], lines.kinds[:1])
            worker.ask("time", 1, 0, FORMS * _WARMUP_CALLS)
            seconds, _ = worker.ask("time", 1, 0, FORMS * _CALLS)
        # Whatever else happens on the machine only adds to the seconds.
        found[precision] = SIZE**3 / min(seconds)
    return found


def placed(
    latency: Latency, macs_per_line: int, precision: str, device: str, peaks_macs_per_s: Mapping[str, float]
) -> Latency:
    """A latency with the MACs per second that it means, and their share of the peak where it is known.

    Args:
        latency: of a row.
        macs_per_line: of its artifact.
        precision: of most of its MACs.
        device: what the row's engine says it runs on; the peaks are the CPU's.
        peaks_macs_per_s: what ``peaks`` returned.
    """
    reached = macs_per_line * latency.throughput_lines_per_s
    peak = peaks_macs_per_s.get(precision) if is_cpu(device) else None
    return replace(latency, macs_per_s=reached, peak_share_fraction=reached / peak if peak else None)
