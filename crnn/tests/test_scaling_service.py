"""From the time of a batch to a service: the simulation, held against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.scaling.service import Policy, Service, mean_bound, mean_wait_md1, sojourns
from crnn.scaling.times import ScalingError


def line(fixed, slope):
    """t(n) = a + b·n."""
    return lambda sizes: fixed + slope * np.asarray(sizes)


class TestSojourns:
    def test_by_hand(self):
        """Two lines that wait for each other, one that finds the worker busy, one that waits alone."""
        arrivals = np.array([0.0, 0.004, 0.011, 1.0])
        seconds = np.array([0.010, 0.012])

        found = sojourns(arrivals, seconds, Policy(2, wait_s=0.005))

        # 0.004: the batch is full; 0.016 its end; the third waited long enough meanwhile; the fourth waits 5 ms.
        assert found.tolist() == pytest.approx([0.016, 0.012, 0.015, 0.015])

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(1, 8), st.floats(0, 0.05))
    def test_laws(self, arrivals, most, wait):
        """No line is served faster than a call of one, and lines leave in the order in which they came."""
        arrivals = np.sort(arrivals)
        seconds = line(0.01, 0.002)(np.arange(1, most + 1))

        found = sojourns(arrivals, seconds, Policy(most, wait))

        assert found.min() >= seconds[0] - 1e-12
        assert (np.diff(arrivals + found) >= -1e-12).all()

    def test_noise_stretches_calls(self):
        """Each batch takes its factor of the noise, one after the other."""
        found = sojourns(np.array([0.0, 1.0]), np.array([0.010]), Policy(1), np.array([1.0, 1.5]))

        assert found.tolist() == pytest.approx([0.010, 0.015])


class TestClosedForms:
    @pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
    def test_single_lines(self, load):
        """Batches of one line give the mean of M/D/1 within 4 %."""
        service = Service(line(0.010, 0.0), Policy(1))

        assert service.simulated(load / 0.010, lines=200_000).mean() == pytest.approx(
            mean_wait_md1(load / 0.010, 0.010), rel=0.04
        )

    @pytest.mark.parametrize("load", [0.1, 0.3, 0.5, 0.7, 0.8])
    @pytest.mark.parametrize(("fixed", "slope"), [(0.001, 0.001), (0.010, 0.001)])
    def test_batches_of_all_that_wait(self, fixed, slope, load):
        """With batches of any size the mean is below Inoue's bound, and at most 15 % below it."""
        service = Service(line(fixed, slope), Policy(2048))

        mean = service.simulated(load / slope, lines=round(400_000 * load)).mean()
        bound = mean_bound(load / slope, fixed, slope)
        assert 0.85 * bound <= mean <= 1.02 * bound


class TestRates:
    def test_beyond_saturation(self):
        """A rate at which the queue grows without end is refused, with the rate below which it does not."""
        service = Service(line(0.0, 0.010), Policy(4))

        with pytest.raises(ScalingError, match="no steady state above 100 lines/s: 120 lines/s arrive"):
            service.simulated(120.0)

    def test_saturation_is_the_best_batch(self):
        """Where larger batches are slower per line, the saturation is that of the best one."""
        service = Service(lambda sizes: np.where(sizes > 2, 1.0, 0.010) * sizes, Policy(8))

        assert service.saturation == pytest.approx(100.0)

    def test_the_best_rate_meets_the_limit(self):
        """At the best rate the 99th percentile is at most the limit; 3 % more lines exceed it."""
        service = Service(line(0.010, 0.001), Policy(64))

        rate = service.best_rate(0.05, lines=20_000)

        assert service.p99_s(rate, lines=20_000) <= 0.05 < service.p99_s(1.03 * rate, lines=20_000)

    def test_no_rate_meets_a_limit_below_one_call(self):
        """Where a single call takes longer than the limit, no rate meets it."""
        assert Service(line(0.010, 0.001), Policy(64)).best_rate(0.010, lines=2000) == 0.0
