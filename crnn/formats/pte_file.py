"""``.pte`` files: ExecuTorch programs with XNNPACK's graphs; check, count parameters and MACs.

Weights are named data of the program, each stored once. Graphs are in XNNPACK's own format.
"""

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

METHOD = "forward"
_IDENTIFIER, _HEADER = b"ET", b"eh00"
_HEADER_BYTES = 40


def check(path: Path) -> None:
    """Check that a file is whole: ExecuTorch would read segments beyond its end.

    Raises:
        ValueError: it is not an ExecuTorch program, or it is truncated; the message names it.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    if start[4:6] != _IDENTIFIER or start[8:12] != _HEADER or len(start) < _HEADER_BYTES:
        raise ValueError(f"{path} is not an ExecuTorch program: its identifier is missing")
    # The program, the offset of its segments, and their bytes.
    program, offset, segments = (int.from_bytes(start[at : at + 8], "little") for at in (16, 24, 32))
    needed, size = max(program, offset + segments), path.stat().st_size
    if size < needed:
        raise ValueError(f"{path} is truncated: it has {size} bytes, its header says {needed}")


def _content(path: Path) -> Any:
    """The program and its data, as ExecuTorch's exporter represents them.

    Raises:
        ValueError: it is not a whole ExecuTorch program.
    """
    # Imported here: it takes seconds and brings the exporter, which only counting needs.
    from executorch.exir._serialize._program import deserialize_pte_binary

    check(path)
    return deserialize_pte_binary(path.read_bytes())


def parameters(path: Path) -> Iterator[np.ndarray]:
    """The tensors that the file stores, all float32."""
    for buffer in _content(path).named_data.buffers:
        yield np.frombuffer(buffer, np.float32)


def _graphs(content: Any) -> Iterator[Any]:
    """XNNPACK's graphs: nodes and values, as their schema names them."""
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader, _get_schema_bytes
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    for delegate in content.program.backend_delegate_data:
        payload = bytes(delegate.data)
        header = XNNHeader.from_bytes(payload[: XNNHeader.EXPECTED_LENGTH])
        with TemporaryDirectory() as folder:
            schema, graph = Path(folder, "schema.fbs"), Path(folder, "graph.bin")
            schema.write_bytes(_get_schema_bytes())
            graph.write_bytes(payload[header.flatbuffer_offset :][: header.flatbuffer_size])
            _flatc_decompile(folder, str(schema), str(graph), ["--raw-binary"])
            yield json.loads(graph.with_suffix(".json").read_bytes())


def macs(path: Path) -> int:
    """MACs for one line, from the shapes in XNNPACK's graphs, which are those of the largest batch.

    The first time step of an unrolled LSTM has no product with the hidden state, which is zero.
    """
    content = _content(path)
    plan = content.program.execution_plan[0]
    lines, total = plan.values[plan.inputs[0]].val.sizes[0], 0
    for graph in _graphs(content):
        shapes: dict[int, list[int]] = {}
        for value in graph["xvalues"]:
            union = value["xvalue_union"]
            tensor = union.get("tensor_value", union)
            shapes[tensor["id_out"]] = tensor["dims"]
        for node in graph["xnodes"]:
            settings = node["xnode_union"]
            match node["xnode_union_type"]:
                case "XNNConv2d":  # filter (O, H, W, I), output (B, H, W, O)
                    total += prod(shapes[settings["output_id"]]) * prod(shapes[settings["filter_id"]][1:])
                case "XNNDepthwiseConv2d":  # filter (1, H, W, O): of one plane, or a BatchNorm, which is element-wise
                    kernel = prod(shapes[settings["filter_id"]][1:3])
                    total += prod(shapes[settings["output_id"]]) * kernel * (kernel > 1)
                case "XNNFullyConnected":  # filter (O, I), output (..., O)
                    total += prod(shapes[settings["output_id"]]) * shapes[settings["filter_id"]][1]
    return total // lines
