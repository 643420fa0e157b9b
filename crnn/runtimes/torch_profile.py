"""Reads a trace that PyTorch's profiler wrote."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from crnn.runtimes.operators import FP32, INT8, Operator, is_matrix, medians

CALL = "call"
"""Name of the range around each profiled call."""
# Names of element types that say in which precision an operator computes; any other is float32.
_PRECISIONS = {
    "c10::BFloat16": "bf16",
    "c10::Half": "fp16",
    **dict.fromkeys(("signed char", "unsigned char", "c10::qint8", "c10::quint8"), INT8),
}
# Packed int8 weights are objects without an element type.
_INT8_NAME = re.compile("quantized|int8|qconv|qlinear|fbgemm")


@dataclass
class _Event:
    """An operator of the trace, with the operators that it called."""

    name: str
    start: float
    end: float
    types: Sequence[str]
    called: list["_Event"] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Its name without the library's: ``mkldnn_convolution`` of ``aten::mkldnn_convolution``."""
        return self.name.rpartition("::")[2]

    @property
    def own(self) -> float:
        """Microseconds that it spent itself."""
        return self.end - self.start - sum(one.end - one.start for one in self.called)

    @property
    def precision(self) -> str:
        """In which it computes."""
        if _INT8_NAME.search(self.name):
            return INT8
        return next((_PRECISIONS[name] for name in self.types if name in _PRECISIONS), FP32)

    @property
    def calls_matrix(self) -> bool:
        """Whether an operator below it is a convolution, product or LSTM."""
        return any(is_matrix(one.kind) or one.calls_matrix for one in self.called)


def _nested(events: Sequence[dict[str, Any]]) -> list[_Event]:
    """The outermost events of one thread."""
    outermost, stack = list[_Event](), list[_Event]()
    # Of two that start together the longer one called the other.
    for event in sorted(events, key=lambda one: (one["ts"], -one["dur"])):
        types = event.get("args", {}).get("Input type", ())
        found = _Event(event["name"], event["ts"], event["ts"] + event["dur"], types)
        while stack and stack[-1].end <= found.start:
            stack.pop()
        (stack[-1].called if stack else outermost).append(found)
        stack.append(found)
    return outermost


def _innermost(event: _Event) -> Iterator[tuple[_Event, float]]:
    """An event's operators with their microseconds, in order.

    ``conv2d`` calls ``convolution``, and that ``mkldnn_convolution``: the last one counts, with the time of the others.
    """
    spent = event.own
    wrapper = event.calls_matrix
    if not wrapper:
        yield event, spent
        spent = 0.0
    for called in event.called:
        for operator, seconds in _innermost(called):
            takes = wrapper and is_matrix(operator.kind)
            yield operator, seconds + (spent if takes else 0.0)
            spent = 0.0 if takes else spent


def operators(trace: str) -> list[Operator]:
    """The operators of the calls of a trace, in the order in which they ran in the first one.

    Args:
        trace: JSON in Chrome's format, with a range named ``CALL`` around each call.
    """
    ranges, threads = list[tuple[float, float]](), dict[Any, list[dict[str, Any]]]()
    for event in json.loads(trace)["traceEvents"]:
        if event.get("ph") == "X" and event.get("cat") == "user_annotation" and event["name"] == CALL:
            ranges.append((event["ts"], event["ts"] + event["dur"]))
        elif event.get("ph") == "X" and event.get("cat") == "cpu_op":
            threads.setdefault(event["tid"], []).append(event)
    outermost = [event for events in threads.values() for event in _nested(events)]
    timed = []
    for start, end in sorted(ranges):
        inside = (event for event in outermost if start <= event.start < end)
        ran = [one for event in sorted(inside, key=lambda event: event.start) for one in _innermost(event)]
        for position, (event, spent) in enumerate(ran):
            timed.append((f"{position} {event.name}", Operator(event.kind, event.precision, spent * 1e-6)))
    return medians(timed)
