"""Footprint of an artifact: parameters, MACs, bytes raw and compressed, memory, load time."""

import zlib
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from statistics import median

from crnn import artifacts, registry
from crnn.corpus import Corpus
from crnn.corpus.synthetic import NAME
from crnn.formats.counts import Counts
from crnn.measure.records import Footprint
from crnn.measure.replicate import Replicate
from crnn.registry.variant import Variant
from crnn.runtimes.base import is_cpu, runtime_class
from crnn.runtimes.torch_runtime import built_with_cuda

# torch-original's peak on the CPU: 1,073 MB with PyTorch 2.11 for CUDA 13 on the machine of
# benchmarks/evidence/amx.json (which leaves it out, because it failed the limit), 791 MB with the CPU's build of 2.13
# in the committed baseline.
_CUDA_LIBRARIES_BYTES = 300_000_000
# On another corpus a file may be larger than on the field corpus by as much as the original's is, for its classes, and
# by this share, for graphs that are unrolled in time (ExecuTorch's) and weights that compress differently.
_OTHER_FILE = 1.05
# There, and for larger batches, a row may take this much of the memory that its original takes in the same run.
_OF_ORIGINAL = 1.25


def artifact_bytes(path: Path) -> dict[str, int]:
    """Size of the file, raw and deflated at level 9; zeros and shared weights only show in the latter."""
    content = path.read_bytes()
    return {"file_bytes": len(content), "compressed_bytes": len(zlib.compress(content, 9))}


def most_bytes(variant: Variant, corpus: Corpus) -> float:
    """The largest file that a variant may have, in bytes; infinite for a user's model and for an own original.

    Another corpus than the field corpus has another number of classes, and perhaps of time steps.
    """
    limit, original = variant.thresholds.max_bytes, registry.original_of(variant)
    if limit is None or (corpus.name != NAME and original is variant):
        return inf
    if corpus.name == NAME or original.thresholds.max_bytes is None:
        return limit
    shipped = artifacts.shipped_path(original)
    # Of another package's original only the limit is known.
    usual = shipped.stat().st_size if shipped.is_file() else original.thresholds.max_bytes
    growth = artifacts.location(original, corpus).stat().st_size - usual
    return _OTHER_FILE * (limit + max(0, growth))


def relative_memory_limit_bytes(variant: Variant, device: str, original: Footprint | None) -> int | None:
    """The limit where lines or batches are larger than those for which the variant's own was measured.

    Args:
        variant: see ``memory_limit_bytes``.
        device: likewise.
        original: of the variant, at the same lines and batch sizes; None if it is the original, or failed.
    """
    if original is None or memory_limit_bytes(variant, device) is None:
        return None
    return round(_OF_ORIGINAL * original.peak_memory_bytes)


def memory_limit_bytes(variant: Variant, device: str) -> int | None:
    """The variant's limit for peak memory in this environment; None if none was measured.

    Args:
        variant: its limit was measured on the CPU, without libraries for an accelerator.
        device: what its engine says it runs on. On an accelerator, the host's memory is mostly that of the
            driver and its libraries, which differ between machines: no limit.
    """
    limit = variant.thresholds.max_peak_memory_bytes
    if limit is None or not is_cpu(device):
        return None
    # PyTorch loads them on the CPU too.
    loads = "torch" in runtime_class(variant.runtime).requires and built_with_cuda()
    return limit + (_CUDA_LIBRARIES_BYTES if loads else 0)


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
