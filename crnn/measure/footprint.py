"""Footprint of an artifact: parameters, MACs, bytes raw and compressed, memory, load time."""

import zlib
from pathlib import Path

from crnn.formats.counts import Counts
from crnn.measure.records import Footprint


def artifact_bytes(path: Path) -> dict[str, int]:
    """Size of the file, raw and deflated at level 9; zeros and shared weights only show in the latter."""
    content = path.read_bytes()
    return {"file_bytes": len(content), "compressed_bytes": len(zlib.compress(content, 9))}


def record(artifact: Path, counted: Counts, peak_memory_bytes: int, load_s: float, first_call_s: float) -> Footprint:
    """The record of an artifact and of the worker that loaded it.

    Args:
        artifact: the file.
        counted: its parameters and MACs.
        peak_memory_bytes: peak resident memory of the worker after it has read the test split.
        load_s: seconds to load the artifact, imports included.
        first_call_s: seconds of the worker's first batch.
    """
    return Footprint(
        parameters_stored_count=counted.parameters_stored,
        parameters_nonzero_count=counted.parameters_nonzero,
        multiply_adds_per_line_count=counted.macs_per_line,
        **artifact_bytes(artifact),
        file_format=artifact.suffix,
        peak_memory_bytes=peak_memory_bytes,
        load_s=load_s,
        first_call_of_process_s=first_call_s,
    )
