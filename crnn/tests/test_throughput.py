"""Two workers at once, and the roofline."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from crnn.measure import roofline, throughput
from crnn.measure.latency import TimedDifference
from crnn.measure.records import Latency, Throughput
from crnn.runtimes.matmul_runtime import SIZE
from crnn.runtimes.matmul_runtime import Runtime as Product
from crnn.tests.steady_runtime import STEADY
from crnn.tests.test_training import lines

LINES = lines(256, 1)
MILLISECOND = 1e-3


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """What two sets of workers give whose calls keep a core busy for a millisecond."""
    monkeypatch.setattr(throughput, "_WINDOW_S", 0.02)
    monkeypatch.setattr(throughput, "_WARMUP_S", 0.002)
    (tmp_path / "nothing").touch()
    seen = []

    def difference(sides, *_):
        seen.extend(sides)
        return TimedDifference(0.0, frozenset(), frozenset())

    monkeypatch.setattr(throughput, "timed_difference", difference)
    session = SimpleNamespace(
        lines=LINES, device="cpu", limit_s=60.0, corpus=SimpleNamespace(alphabet="", size=(32, 400))
    )
    runner = SimpleNamespace(variant=STEADY, artifact=tmp_path / "nothing", evaluation=None)
    record, seconds = throughput.measure(session, runner, 2)
    return record, seconds, seen


class TestThroughput:
    def test_the_record(self, measured):
        """Two workers are counted together, one alone; each set gives a gain, and the interval is over sets."""
        record, seconds, _ = measured

        assert (record.together_workers_count, record.together_batch_size_lines) == (2, 32)
        assert record.together_s_per_line == pytest.approx(1 / record.together_lines_per_s)
        assert record.alone_lines_per_s <= 32 / MILLISECOND
        assert record.together_lines_per_s <= 2 * 32 / MILLISECOND
        assert len(record.together_gains) == 2
        assert record.together_gain_low_ratio < record.together_gain_ratio < record.together_gain_high_ratio
        assert len(seconds) == 6
        assert Throughput.from_json(record.to_json()) == record

    def test_outputs_of_all_workers_are_compared(self, measured):
        """The outputs of each set's three workers are compared with the evaluated ones; they read different lines."""
        _, _, sides = measured

        assert len(sides) == 6
        assert [min(side.outputs) for side in sides[:3]] == [0, 64, 128]
        assert {output.shape for side in sides for output in side.outputs.values()} == {(32, 50, 46)}


class TestRoofline:
    def test_share_of_the_peak(self):
        """A row with 2,000 MACs per line and 3 lines per second reaches 6,000 of 24,000 MACs per second."""
        found = roofline.placed(latency(3.0), 2000, "int8", "cpu", {"int8": 24_000.0, "fp32": 12_000.0})

        assert (found.macs_per_s, found.peak_share_fraction) == (6000.0, 0.25)

    def test_unknown_peak(self):
        """Without the peak of its precision, a row has no share."""
        found = roofline.placed(latency(3.0), 2000, "fp16", "cpu", {"fp32": 12_000.0})

        assert (found.macs_per_s, found.peak_share_fraction) == (6000.0, None)

    @pytest.mark.parametrize("device", ["NVIDIA L4", "CUDAExecutionProvider", "/physical_device:GPU:0"])
    def test_not_on_the_cpu(self, device):
        """A row on an accelerator has no share of the CPU's peak."""
        found = roofline.placed(latency(3.0), 2000, "fp32", device, {"fp32": 12_000.0})

        assert (found.macs_per_s, found.peak_share_fraction) == (6000.0, None)

    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_calls_alternate_between_the_forms(self, precision):
        """One call is a matrix product, the next a convolution of 1 x 1, over and over."""
        runtime = Product()
        runtime.load(Path("none"), "cpu", precision=precision)
        nothing = np.zeros(0, np.float32)
        side = int(SIZE**0.5)

        assert [runtime(nothing, nothing).shape for _ in range(3)] == [(SIZE,), (1, side, side), (SIZE,)]

    def test_peaks_are_products_of_the_asked_precisions(self):
        """A product in fp32 and one in int8 run everywhere; each takes the MACs of its matrices."""
        found = roofline.peaks(LINES)

        assert {"fp32", "int8"} <= found.keys() <= set(roofline.PRECISIONS)
        assert min(found.values()) > SIZE**3 / 10

    def test_without_openvino(self, monkeypatch):
        """Without OpenVINO there is no peak."""
        monkeypatch.setattr(roofline, "missing", lambda _: ["openvino"])

        assert roofline.peaks(LINES) == {}


def latency(lines_per_s):
    """A latency with this throughput."""
    return Latency(
        batch_size_lines=1,
        latency_median_s=1 / lines_per_s,
        throughput_lines_per_s=lines_per_s,
        warmup_calls_count=1,
        timed_calls_count=1,
        calls_per_block_count=1,
        latency_anchor="",
        latency_anchor_sha256="",
        anchor_ratios=[],
        process_medians_s=[],
        peak_memory_bytes=0,
        timed_answers_log_prob_difference_nats=0.0,
    )
