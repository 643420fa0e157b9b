"""A model of the time of a call: t(n) = a + b·n, or where that is rejected, several such pieces."""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from crnn.scaling.pieces import Pieces, fitted, folds, line, number_of_pieces, relative_errors
from crnn.scaling.times import ScalingError, Times

_LEVEL = 0.01  # of the test for lack of fit
NOTABLE = 0.02
"""Deviations of a model from the measured means count from this size on: so much a repeated study differs too."""
_TAIL = 0.025  # at each end of a 95 % interval


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Model:
    """What was fitted to a row.

    Attributes:
        times: the measured ones.
        function: seconds per call.
        held_out: sizes that had no part in the choice of the function.
    """

    times: Times
    function: Pieces
    held_out: tuple[int, ...]

    @cached_property
    def _noise(self) -> tuple[float, float, int]:
        """Relative standard deviations between processes, and within them; the latter's degrees of freedom."""
        logs = np.log(self.times.seconds)
        processes, count = logs.shape
        if processes < 2:
            raise ScalingError(f"{self.times.name}: an interval needs at least two processes")
        level = logs.mean(axis=1, keepdims=True)
        residuals = logs - logs.mean(axis=0) - (level - level.mean())
        freedom = (processes - 1) * (count - 1)
        within = float((residuals**2).sum()) / freedom
        between = max(0.0, float(level.var(ddof=1)) - within / count)
        return sqrt(between), sqrt(within), freedom

    @property
    def between(self) -> float:
        """Relative standard deviation between processes, of all sizes alike."""
        return self._noise[0]

    @property
    def within(self) -> float:
        """Relative standard deviation of one size in one process."""
        return self._noise[1]

    def _lack_of_fit(self, function: Pieces) -> bool:
        """Whether the means deviate by more than the noise, and by more than another study would."""
        from scipy.stats import f

        processes = len(self.times.seconds)
        deviations = np.log(function(self.times.sizes) / self.times.mean)
        freedom = len(deviations) - 2 * len(function.pieces)
        if freedom < 1:
            return False
        spread = float((deviations**2).sum()) / freedom
        noise = self.within**2 / processes
        beyond = noise == 0 or spread / noise > f.ppf(1 - _LEVEL, freedom, self._noise[2])
        return bool(beyond and sqrt(spread) > NOTABLE)

    @cached_property
    def line(self) -> Pieces:
        """The straight line through all sizes."""
        return Pieces.fit(self.times.sizes, self.times.mean, [0])

    @cached_property
    def line_rejected(self) -> bool:
        """Whether the straight line misses the measured times."""
        return self._lack_of_fit(self.line)

    @cached_property
    def rejected(self) -> bool:
        """Whether the chosen function misses them too."""
        return self._lack_of_fit(self.function)

    @property
    def verdict(self) -> str:
        """``line``, the number of pieces, or ``rejected``."""
        if self.rejected:
            return "rejected"
        count = len(self.function.pieces)
        return "line" if count == 1 else f"{count} pieces"

    @cached_property
    def held_out_errors(self) -> np.ndarray:
        """Size of the relative error at each held-out size, predicted from the others, float (H,)."""
        sizes, seconds = self.times.sizes, self.times.mean
        left_out = np.flatnonzero(np.isin(sizes, self.held_out))
        kept = np.delete(np.arange(len(sizes)), left_out)
        # The number of pieces is chosen again, without the held-out sizes.
        pieces = 1 if len(self.function.pieces) == 1 else number_of_pieces(sizes[kept], seconds[kept])
        function = fitted(sizes[kept], seconds[kept], pieces) or Pieces.fit(sizes[kept], seconds[kept], [0])
        return np.abs(relative_errors(function, sizes[left_out], seconds[left_out]))

    def _spread(self, of_fit: float, relative: float) -> float:
        """Half of an interval, from the standard error of the fit and a relative one over processes."""
        from scipy.special import stdtrit

        processes = len(self.times.seconds)
        fit = float(stdtrit(self._noise[2], 1 - _TAIL)) * of_fit
        level = float(stdtrit(processes - 1, 1 - _TAIL)) * relative
        return sqrt(fit**2 + level**2)

    @cached_property
    def fixed(self) -> Estimate:
        """Seconds per call that do not depend on the batch size."""
        return self._coefficient(0)

    @cached_property
    def per_line(self) -> Estimate:
        """Seconds per further line."""
        return self._coefficient(1)

    def _coefficient(self, which: int) -> Estimate:
        coefficients, covariance = self._line_fit
        value = float(coefficients[which])
        processes = len(self.times.seconds)
        half = self._spread(sqrt(covariance[which, which]), abs(value) * self.between / sqrt(processes))
        return Estimate(value, value - half, value + half)

    @cached_property
    def _line_fit(self) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (2,) of the straight line, and their covariance: of the noise, or of the misfit if larger."""
        coefficients, unit = line(self.times.sizes.astype(float), self.times.mean)
        misfit = relative_errors(self.line, self.times.sizes, self.times.mean)
        scale = max(self.within**2 / len(self.times.seconds), float((misfit**2).sum()) / max(1, len(misfit) - 2))
        return coefficients, unit * scale

    @cached_property
    def half_size(self) -> Estimate:
        """n½ = a/b: the size with half of the asymptotic lines per second; the processes' levels cancel."""
        (fixed, slope), covariance = self._line_fit
        value = float(fixed / slope)
        gradient = np.array([1 / slope, -fixed / slope**2])
        half = self._spread(sqrt(float(gradient @ covariance @ gradient)), 0.0)
        return Estimate(value, value - half, value + half)


def model_of(times: Times) -> Model:
    """The straight line, or if the measured times reject it, the pieces that cross-validation chooses.

    Raises:
        ScalingError: fewer than five sizes, or fewer than two processes.
    """
    sizes, seconds = times.sizes, times.mean
    if len(sizes) < 5:
        raise ScalingError(f"{times.name}: {len(sizes)} batch sizes; a model needs at least five")
    held_out = tuple(map(int, sizes[next(iter(folds(len(sizes))))]))
    straight = Model(times, Pieces.fit(sizes, seconds, [0]), held_out)
    if not straight.line_rejected:
        return straight
    function = fitted(sizes, seconds, max(2, number_of_pieces(sizes, seconds)))
    return straight if function is None else Model(times, function, held_out)
