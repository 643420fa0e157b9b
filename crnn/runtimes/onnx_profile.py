"""Reads a profile that ONNX Runtime wrote."""

import json

from crnn.runtimes.operators import FP32, INT8, Operator, medians

# Names of element types that say in which precision an operator computes; any other is float32.
_PRECISIONS = {"int8": INT8, "uint8": INT8, "float16": "fp16", "bfloat16": "bf16"}
_SUFFIX = "_kernel_time"


def operators(profile: str) -> list[Operator]:
    """The operators of a profile, in the order in which they first ran.

    Args:
        profile: JSON, a list of events; several calls of the same batch may be in it.
    """
    timed = []
    for event in json.loads(profile):
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            arguments = event["args"]
            types = [name for one in arguments.get("input_type_shape", ()) for name in one]
            precision = next((_PRECISIONS[name] for name in types if name in _PRECISIONS), FP32)
            # Microseconds.
            timed.append((event["name"], Operator(arguments["op_name"], precision, event["dur"] * 1e-6)))
    return medians(timed)
