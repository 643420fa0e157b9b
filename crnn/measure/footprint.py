"""Footprint of an artifact: parameters, MACs, bytes raw and compressed, memory, load time."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from crnn.formats.counts import Counts
from crnn.measure.records import Footprint
from crnn.measure.replicate import Replicate


def artifact_bytes(path: Path) -> dict[str, int]:
    """Size of the file, raw and deflated at level 9; zeros and shared weights only show in the latter."""
    content = path.read_bytes()
    return {"file_bytes": len(content), "compressed_bytes": len(zlib.compress(content, 9))}


def record(artifact: Path, counted: Counts, replicates: Sequence[Replicate], phases: Mapping[str, float]) -> Footprint:
    """The record of an artifact and of the processes that loaded it.

    Args:
        artifact: the file.
        counted: its parameters, MACs and deflated weights.
        replicates: the processes.
        phases: seconds that the row cost, by phase.
    """
    largest = max(replicates[0].sizes)
    alone = [replicate.load_s for replicate in replicates if replicate.alone and not replicate.built]
    building = [replicate.load_s for replicate in replicates if replicate.alone and replicate.built]
    return Footprint(
        parameters_stored_count=counted.parameters_stored,
        parameters_nonzero_count=counted.parameters_nonzero,
        multiply_adds_per_line_count=counted.macs_per_line,
        **artifact_bytes(artifact),
        deflated_weights_bytes=counted.deflated_weights_bytes,
        file_format=artifact.suffix,
        resident_after_load_bytes=round(median(replicate.resident_bytes for replicate in replicates)),
        peak_memory_bytes=round(median(replicate.sizes[largest].peak_memory_bytes for replicate in replicates)),
        largest_batch_size_lines=largest,
        processes_count=len(replicates),
        load_s=median(alone) if alone else None,
        load_with_build_s=building[0] if building else None,
        phases_s={name: round(seconds, 3) for name, seconds in phases.items()},
    )
