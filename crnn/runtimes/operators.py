"""What an engine's profiler tells of the operators that it ran: kind, precision and time."""

import re
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

# Operators that hold a model's MACs, in the words of ONNX Runtime and OpenVINO, and in PyTorch's.
_MATRIX = re.compile(
    "Conv(?!ert)|MatMul|Gemm|FullyConnected|LSTM|conv(olution|[12]d)|^(add)?mm$|^bmm$|matmul|linear|lstm|rnn_layer"
)
FP32, INT8 = "fp32", "int8"


class Operator(NamedTuple):
    """An operator of the graph that the engine runs, which is not the graph of the file: operators are fused.

    Attributes:
        kind: the engine's name for it.
        precision: in which it computes: ``fp32``, ``bf16``, ``fp16`` or ``int8``.
        seconds: of one batch; the median over the profiled batches.
    """

    kind: str
    precision: str
    seconds: float


def is_matrix(kind: str) -> bool:
    """Whether operators of this kind are convolutions, matrix products or LSTMs."""
    return bool(_MATRIX.search(kind))


def medians(timed: Iterable[tuple[str, Operator]]) -> list[Operator]:
    """One operator per node, with the median of its seconds, in the order in which the nodes first ran.

    Args:
        timed: name of a node, and the operator as it ran in one call.
    """
    seconds: dict[tuple[str, str, str], list[float]] = {}
    for node, operator in timed:
        seconds.setdefault((node, operator.kind, operator.precision), []).append(operator.seconds)
    return [Operator(kind, precision, median(spent)) for (_, kind, precision), spent in seconds.items()]
