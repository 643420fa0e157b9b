"""A model of the time of a call: t(n) = a + b·n, or where that is rejected, several such pieces."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import pi, sqrt

import numpy as np

from crnn.scaling.pieces import Pieces, fitted, folds, line, number_of_pieces, relative_errors
from crnn.scaling.times import ScalingError, Times

_LEVEL = 0.01  # of the test for lack of fit
NOTABLE = 0.02
"""Deviations of a model from the measured times count from this size on: so much a repeated study differs too."""
_TAIL = 0.025  # at each end of a 95 % interval
# The standard deviation of a normal distribution / its median absolute deviation, and how many of the observations it
# takes to tell it as well from all of them (Rousseeuw and Croux, 1993).
_MAD, _EFFICIENCY = 1.4826, 0.37


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
        alone: whether the smallest size is a piece of its own.
    """

    times: Times
    function: Pieces
    held_out: tuple[int, ...]
    alone: bool = False

    @cached_property
    def _noise(self) -> tuple[float, float, int]:
        """Relative standard deviations between processes, and within them; the latter's degrees of freedom.

        Within: from the median difference of two processes at a size, which a few disturbed sizes do not change.
        """
        paced = np.log(self.times.seconds) - self.times.paces
        processes, count = paced.shape
        if processes < 2:
            raise ScalingError(f"{self.times.name}: an interval needs at least two processes")
        differences = [np.abs(one - other) for one, other in combinations(paced, 2)]
        within = _MAD * float(np.median(differences)) / sqrt(2)
        freedom = max(1, round(_EFFICIENCY * (processes - 1) * (count - 1)))
        between = max(0.0, float(self.times.paces.var(ddof=1)) - pi / 2 * within**2 / count)
        return sqrt(between), within, freedom

    @property
    def error(self) -> float:
        """Relative standard error of the typical time at one size: that of a median over processes."""
        # Exact for one process and for many.
        return self.within * sqrt(pi / 2 / (len(self.times.seconds) + pi / 2 - 1))

    @property
    def between(self) -> float:
        """Relative standard deviation between processes, of all sizes alike."""
        return self._noise[0]

    @property
    def within(self) -> float:
        """Relative standard deviation of one size in one process."""
        return self._noise[1]

    def _lack_of_fit(self, function: Pieces) -> bool:
        """Whether the typical times deviate by more than the noise, and by more than another study would."""
        from scipy.stats import f

        deviations = np.log(function(self.times.sizes) / self.times.typical)
        freedom = len(deviations) - 2 * len(function.pieces)
        if freedom < 1:
            return False
        spread = float((deviations**2).sum()) / freedom
        noise = self.error**2
        beyond = noise == 0 or spread / noise > f.ppf(1 - _LEVEL, freedom, self._noise[2])
        return bool(beyond and sqrt(spread) > NOTABLE)

    @cached_property
    def line(self) -> Pieces:
        """The straight line through all sizes."""
        return Pieces.fit(self.times.sizes, self.times.typical, [0])

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
        sizes, seconds = self.times.sizes, self.times.typical
        left_out = np.flatnonzero(np.isin(sizes, self.held_out))
        kept = np.delete(np.arange(len(sizes)), left_out)
        # The number of pieces is chosen again, without the held-out sizes.
        single = len(self.function.pieces) == 1
        pieces = 1 if single else number_of_pieces(sizes[kept], seconds[kept], self.alone)
        function = fitted(sizes[kept], seconds[kept], pieces, self.alone)
        function = function or Pieces.fit(sizes[kept], seconds[kept], [0])
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
        coefficients, unit = line(self.times.sizes.astype(float), self.times.typical)
        misfit = relative_errors(self.line, self.times.sizes, self.times.typical)
        scale = max(self.error**2, float((misfit**2).sum()) / max(1, len(misfit) - 2))
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

    Where they are rejected too, the smallest size may be a piece of its own.

    Raises:
        ScalingError: fewer than five sizes, or fewer than two processes.
    """
    sizes, seconds = times.sizes, times.typical
    if len(sizes) < 5:
        raise ScalingError(f"{times.name}: {len(sizes)} batch sizes; a model needs at least five")
    held_out = tuple(map(int, sizes[next(iter(folds(len(sizes))))]))
    straight = Model(times, Pieces.fit(sizes, seconds, [0]), held_out)
    if not straight.line_rejected:
        return straight
    found = []
    for alone in (False, True):
        number = max(2, number_of_pieces(sizes, seconds, alone))
        if function := fitted(sizes, seconds, number, alone):
            found.append(Model(times, function, held_out, alone))
    return next((model for model in found if not model.rejected), found[0] if found else straight)
