"""A function of the batch size, of one or several straight lines, and its fit.

Errors are relative: a call twice as long varies by twice as many seconds. So the fit is weighted by the inverse square
of the fitted time, iterated. Breakpoints are found by dynamic programming (``ruptures``; Truong, Oudre, Vayatis, 2020,
"Selective review of offline change point detection methods"), their number by cross-validation over sizes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

MOST_PIECES = 6
_PIECE_SIZES = 4  # least sizes in a piece
_ITERATIONS = 8
_FOLDS = 5


@dataclass(frozen=True)
class Piece:
    """One straight line.

    Attributes:
        first: smallest size that it holds for.
        fixed_s: a, seconds per call.
        per_line_s: b, seconds per line.
    """

    first: int
    fixed_s: float
    per_line_s: float

    def at(self, sizes: np.ndarray) -> np.ndarray:
        """Seconds per call, float of the sizes' shape."""
        return self.fixed_s + self.per_line_s * sizes


def _design(sizes: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(sizes)), sizes])


def line(sizes: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares with relative errors: coefficients (2,), and their covariance for a relative error of 1.

    Args:
        sizes: float (K,).
        seconds: float (K,).
    """
    design, fitted = _design(sizes), seconds
    coefficients = np.zeros(2)
    for _ in range(_ITERATIONS):
        scaled = design / fitted[:, None]
        coefficients = np.linalg.lstsq(scaled, seconds / fitted, rcond=None)[0]
        # A fit through few points may dip below zero at the smallest size.
        fitted = np.maximum(design @ coefficients, 0.1 * seconds)
    scaled = design / fitted[:, None]
    return coefficients, np.linalg.pinv(scaled.T @ scaled)


@dataclass(frozen=True)
class Pieces:
    """A function of the batch size, of one or several straight lines; jumps between them are allowed."""

    pieces: tuple[Piece, ...]

    def __call__(self, sizes: np.ndarray | int) -> np.ndarray:
        """Seconds per call at these sizes, int (...)."""
        wanted = np.asarray(sizes)
        which = np.searchsorted([piece.first for piece in self.pieces[1:]], wanted, side="right")
        return np.choose(which, [piece.at(wanted) for piece in self.pieces])

    @classmethod
    def fit(cls, sizes: np.ndarray, seconds: np.ndarray, starts: Sequence[int]) -> "Pieces":
        """Fit with pieces that begin at these positions of the sizes, the first at 0."""
        ends = [*starts[1:], len(sizes)]
        found = []
        for start, end in zip(starts, ends, strict=True):
            (fixed, slope), _ = line(sizes[start:end].astype(float), seconds[start:end])
            # Between two measured sizes the step may be anywhere: halfway.
            first = int(sizes[0]) if not start else (int(sizes[start - 1]) + int(sizes[start])) // 2 + 1
            found.append(Piece(first, float(fixed), float(slope)))
        return cls(tuple(found))


def _starts(sizes: np.ndarray, seconds: np.ndarray, pieces: int, alone: bool) -> list[int] | None:
    """Positions at which the pieces begin; None if there are too few sizes."""
    if alone:
        behind = _starts(sizes[1:], seconds[1:], pieces - 1, False)
        return None if behind is None else [0, *(start + 1 for start in behind)]
    if pieces == 1:
        return [0]
    if len(sizes) < pieces * _PIECE_SIZES:
        return None
    import ruptures

    # Relative errors: each row of the regression is divided by the measured time.
    signal = np.column_stack([np.ones(len(sizes)), 1 / seconds, sizes / seconds])
    search = ruptures.Dynp(model="linear", min_size=_PIECE_SIZES, jump=1).fit(signal)
    return [0, *search.predict(n_bkps=pieces - 1)[:-1]]


def fitted(sizes: np.ndarray, seconds: np.ndarray, pieces: int, alone: bool = False) -> Pieces | None:
    """The best function of that many pieces; None if there are too few sizes for them.

    Args:
        sizes: lines per call, int (K,), ascending.
        seconds: per call, float (K,).
        pieces: number of straight lines.
        alone: whether the smallest size is a piece of its own: engines have other kernels for one line.
    """
    starts = _starts(sizes, seconds, pieces, alone)
    return None if starts is None else Pieces.fit(sizes, seconds, starts)


def folds(count: int) -> Iterable[np.ndarray]:
    """Positions that are left out, fold by fold: every fifth; the ends stay, so nothing is extrapolated."""
    for fold in range(_FOLDS):
        left_out = np.arange(1 + fold, count - 1, _FOLDS)
        if len(left_out):
            yield left_out


def relative_errors(function: Pieces, sizes: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Fitted / measured - 1 at each size, float (K,)."""
    return function(sizes) / seconds - 1


def _validated(sizes: np.ndarray, seconds: np.ndarray, pieces: int, alone: bool) -> tuple[float, float]:
    """Mean relative error at sizes that had no part in the fit, and its standard error over sizes."""
    # Not squared: a few small sizes with a kernel of their own would hide what all others tell.
    errors = list[float]()
    for left_out in folds(len(sizes)):
        kept = np.delete(np.arange(len(sizes)), left_out)
        function = fitted(sizes[kept], seconds[kept], pieces, alone)
        if function is None:
            return np.inf, np.inf
        errors += list(np.abs(relative_errors(function, sizes[left_out], seconds[left_out])))
    if len(errors) < 2:
        return np.inf, np.inf
    return float(np.mean(errors)), float(np.std(errors, ddof=1) / sqrt(len(errors)))


def number_of_pieces(sizes: np.ndarray, seconds: np.ndarray, alone: bool = False) -> int:
    """The least number of pieces whose error is within one standard error of the best (Breiman et al., 1984).

    Args:
        sizes: see ``fitted``.
        seconds: see ``fitted``.
        alone: see ``fitted``.
    """
    numbers = range(1 + alone, MOST_PIECES + 1)
    errors = {pieces: _validated(sizes, seconds, pieces, alone) for pieces in numbers}
    best = min(errors, key=lambda pieces: errors[pieces][0])
    most = sum(errors[best])
    return next(pieces for pieces, (error, _) in errors.items() if error <= most)
