"""Models of the time of a call, and crossings between them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.measure.scaling_record import Scaling
from crnn.scaling.crossings import Reign, crossing, winners
from crnn.scaling.model import model_of
from crnn.scaling.pieces import Piece, Pieces, fitted
from crnn.scaling.times import ScalingError, Times, read

SIZES = np.array([*range(1, 34), 48, 64, 96, 128, 192, 256])


def record(sizes, ratios, **changes):
    """The record of a row with these ratios."""
    values = {
        "scaling_sizes": list(map(int, sizes)),
        "scaling_ratios": [list(map(float, row)) for row in ratios],
        "scaling_anchor_s": [1.0] * len(ratios),
        "scaling_first_calls_s": [],
        "scaling_peak_memory_bytes": [],
        "scaling_resident_after_load_bytes": 0,
        "scaling_anchor": "anchor",
        "scaling_anchor_sha256": "sha",
    }
    return Scaling(**values | changes)


def times(function, *, name="row", processes=3, within=0.01, between=0.0, sizes=SIZES, seed=1):
    """Times of a row: a function of the batch size with relative noise."""
    draws = np.random.default_rng(seed)
    noise = draws.normal(0, within, (processes, len(sizes))) + draws.normal(0, between, (processes, 1))
    seconds = function(sizes) * np.exp(noise)
    return Times(name, "engine", sizes, seconds, record(sizes, seconds))


def line(fixed, slope):
    """t(n) = a + b·n."""
    return lambda sizes: fixed + slope * sizes


def step(sizes):
    """Twice as long per line from 40 lines on."""
    return np.where(sizes < 40, 0.004 + 0.001 * sizes, 0.004 + 0.002 * sizes)


class TestLine:
    @settings(max_examples=50, deadline=None)
    @given(st.floats(1e-4, 0.1), st.floats(1e-5, 0.01))
    def test_exact_times_give_their_line(self, fixed, slope):
        """Without noise, a, b and n½ are those that made the times."""
        [piece] = fitted(SIZES, line(fixed, slope)(SIZES), 1).pieces

        assert (piece.fixed_s, piece.per_line_s) == pytest.approx((fixed, slope))

    def test_intervals_hold_the_truth(self):
        """In 200 studies with noise, at least 90 % of the intervals of a, of b and of n½ hold the true value."""
        held = np.zeros(3)
        for seed in range(200):
            model = model_of(times(line(0.004, 0.001), within=0.02, between=0.01, seed=seed))
            for at, (estimate, truth) in enumerate(
                ((model.fixed, 0.004), (model.per_line, 0.001), (model.half_size, 4.0))
            ):
                held[at] += estimate.low <= truth <= estimate.high

        assert held.min() >= 180

    def test_a_line_is_rarely_rejected(self):
        """Of 100 rows whose times are a line with noise, at most 2 are given more than one piece."""
        verdicts = [model_of(times(line(0.004, 0.001), within=0.03, seed=seed)).verdict for seed in range(100)]

        assert verdicts.count("line") >= 98

    def test_disturbed_processes_change_little(self):
        """Where a sixth of the calls of one process take three times as long, line and intervals stay as they are."""
        quiet = times(line(0.004, 0.001))
        seconds = quiet.seconds.copy()
        seconds[1, ::6] *= 3
        disturbed = model_of(replace(quiet, seconds=seconds))

        assert disturbed.verdict == "line"
        for estimate, truth in ((disturbed.fixed, 0.004), (disturbed.per_line, 0.001), (disturbed.half_size, 4.0)):
            assert estimate.low <= truth <= estimate.high
            assert estimate.high - estimate.low < 0.5 * truth

    def test_held_out_sizes_are_predicted(self):
        """Each fifth size has no part in the fit, and is predicted within the noise."""
        model = model_of(times(line(0.004, 0.001)))

        assert model.held_out == tuple(map(int, SIZES[1:-1:5]))
        assert np.median(model.held_out_errors) < 0.02


class TestPieces:
    def test_a_step_rejects_the_line(self):
        """Times that step at 40 lines reject the line; two pieces meet between the measured sizes around it."""
        model = model_of(times(step))

        assert (model.line_rejected, model.rejected, model.verdict) == (True, False, "2 pieces")
        assert [piece.first for piece in model.function.pieces] == [1, 41]
        assert np.median(model.held_out_errors) < 0.02

    def test_no_pieces_fit_noise_like_steps(self):
        """A row that alternates between two times at every size is rejected by name."""
        model = model_of(times(lambda sizes: (0.004 + 0.001 * sizes) * np.where(sizes % 2, 1.2, 1.0), within=0.005))

        assert (model.line_rejected, model.verdict) == (True, "rejected")

    def test_a_piece_holds_from_its_first_size(self):
        """Below the second piece's first size the first one holds, at it the second."""
        function = Pieces((Piece(1, 1.0, 0.0), Piece(10, 2.0, 0.0)))

        assert function(np.array([1, 9, 10, 300])).tolist() == [1.0, 1.0, 2.0, 2.0]


class TestInput:
    def test_four_sizes(self):
        """Fewer than five sizes are refused."""
        with pytest.raises(ScalingError, match="row: 4 batch sizes; a model needs at least five"):
            model_of(times(line(0.004, 0.001), sizes=SIZES[:4]))

    def test_one_process(self):
        """One process gives no interval."""
        with pytest.raises(ScalingError, match="row: an interval needs at least two processes"):
            model_of(times(line(0.004, 0.001), processes=1))

    def test_another_file(self):
        """A run without this measurement is refused with the command that makes one."""
        with pytest.raises(ScalingError, match=r"pytest benchmarks/test_batch_scaling\.py measures it"):
            read([{"extra_info": {}}])


class TestCrossings:
    def test_two_lines_cross(self):
        """A row with a lower fixed cost is overtaken where the lines meet; the interval holds it."""
        light, steep = (
            model_of(times(line(0.010, 0.001), name="light", seed=2)),
            model_of(times(line(0.002, 0.002), name="steep", seed=3)),
        )

        found = crossing(light, steep)

        assert (found.before, found.after) == ("steep", "light")
        assert found.low <= 8 <= found.size + 1
        assert found.low <= found.size <= found.high < 12

    def test_parallel_rows_do_not_cross(self):
        """A row that is faster at every size is never overtaken."""
        fast, slow = (
            model_of(times(line(0.002, 0.001), name="fast", seed=2)),
            model_of(times(line(0.004, 0.002), name="slow", seed=3)),
        )

        assert crossing(fast, slow) is None
        assert winners([fast, slow]) == [Reign("fast", 1, 256)]

    def test_winners_follow_each_other(self):
        """Each size has one winner, from the smallest to the largest."""
        models = [
            model_of(times(line(fixed, slope), name=name, within=0.001, seed=seed))
            for seed, (name, fixed, slope) in enumerate((("small", 0.001, 0.002), ("large", 0.0212, 0.001)))
        ]

        assert winners(models) == [Reign("small", 1, 20), Reign("large", 21, 256)]
