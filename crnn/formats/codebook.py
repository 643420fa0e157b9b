"""Tensors with few distinct values, stored as a codebook and one packed index per weight.

This is Deep Compression (Han et al., 2016, arXiv:1510.00149) without its Huffman coding.
"""

from dataclasses import dataclass
from math import prod

import numpy as np


@dataclass(frozen=True)
class Clustered:
    """A tensor as codebook and indices.

    Attributes:
        codebook: float32 (K,), ascending.
        packed: uint8, the bits of all indices in order, the highest bit of each first.
        shape: of the tensor.
    """

    codebook: np.ndarray
    packed: np.ndarray
    shape: tuple[int, ...]

    @property
    def bits(self) -> int:
        """Bits per index."""
        return index_bits(len(self.codebook))


def index_bits(clusters: int) -> int:
    """Bits needed to index that many clusters; at least 1."""
    return max((clusters - 1).bit_length(), 1)


def pack(indices: np.ndarray, bits: int) -> np.ndarray:
    """Pack non-negative integers below 2**bits, of any shape, into uint8 with ``bits`` bits each."""
    # (N,) -> (N, bits), the highest bit first
    digits = (indices.reshape(-1, 1) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.astype(np.uint8))


def unpack(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """The inverse of ``pack``: int64 (count,)."""
    digits = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    return digits @ (1 << np.arange(bits - 1, -1, -1))


def encode(values: np.ndarray) -> Clustered:
    """Encode a tensor with few distinct values as codebook and indices, without loss."""
    codebook, indices = np.unique(values, return_inverse=True)
    return Clustered(codebook, pack(indices.reshape(-1), index_bits(len(codebook))), values.shape)


def decode(clustered: Clustered) -> np.ndarray:
    """The tensor, float32.

    Raises:
        ValueError: the indices are truncated, or one is outside the codebook.
    """
    count = prod(clustered.shape)
    if len(clustered.packed) * 8 < count * clustered.bits:
        raise ValueError(f"{len(clustered.packed)} bytes of indices for {count} weights of {clustered.bits} bits")
    indices = unpack(clustered.packed, clustered.bits, count)
    if len(indices) and indices.max() >= len(clustered.codebook):
        raise ValueError(f"index {indices.max()} in a codebook of {len(clustered.codebook)}")
    return clustered.codebook[indices].reshape(clustered.shape)


def k_means(values: np.ndarray, clusters: int, most_rounds: int = 100) -> np.ndarray:
    """Centroids of scalar values by Lloyd's algorithm, started evenly spaced.

    Evenly spaced starts keep the rare large weights, which matter most (Han et al., section 3.2).

    Returns:
        Float32 (clusters,), ascending; a centroid without values does not move.

    Raises:
        ValueError: fewer than one cluster, or fewer values than clusters.
    """
    if not 1 <= clusters <= values.size:
        raise ValueError(f"{clusters} clusters for {values.size} weights: use 1 to {values.size}")
    ordered = np.sort(values.reshape(-1).astype(np.float64))
    # With cumulative sums of the sorted values each round only has to search for the borders.
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centroids = np.linspace(ordered[0], ordered[-1], clusters)
    for _ in range(most_rounds):
        borders = np.searchsorted(ordered, (centroids[1:] + centroids[:-1]) / 2)
        edges = np.concatenate([[0], borders, [ordered.size]])
        counts = np.diff(edges)
        means = np.where(counts > 0, np.diff(sums[edges]) / np.maximum(counts, 1), centroids)
        if np.array_equal(means, centroids):
            break
        centroids = means
    return centroids.astype(np.float32)


def nearest(values: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Index of each value's nearest centroid, in the shape of the values; centroids are ascending."""
    return np.searchsorted((centroids[1:] + centroids[:-1]) / 2, values)
