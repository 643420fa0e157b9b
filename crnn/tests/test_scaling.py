"""Measuring calls at many batch sizes: shuffled, beside an anchor, within memory; and how the study is asked for."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from crnn.formats import tflite_file
from crnn.measure import scaling
from crnn.measure.batch_sizes import built_for
from crnn.measure.latency import Plan, TimedDifference
from crnn.measure.pace import Pace
from crnn.measure.scaling_record import Scaling
from crnn.registry.variant import Thresholds, Variant
from crnn.runtimes.litert_runtime import Runtime
from crnn.runtimes.process import WorkerError
from crnn.tests.test_training import lines

ROOT = Path(__file__).parents[2]
SIZES = (1, 2, 4, 8, 9, 12)
QAT = ROOT / "fixtures" / "artifacts" / "tf-int8-qat.tflite"


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Measure an engine with the steady engine as its anchor."""
    monkeypatch.setattr(scaling, "ANCHOR", "crnn.tests.steady_runtime")
    monkeypatch.setattr(scaling, "_ANCHOR_WARMUP_S", 0.002)
    monkeypatch.setattr(scaling, "_PLAN", Plan(warmup_s=0.0, pairs=1, block_s=0.002))
    seen = []

    def difference(sides, *_):
        seen.extend(sides)
        return TimedDifference(0.0, frozenset(), frozenset())

    monkeypatch.setattr(scaling, "timed_difference", difference)
    artifact = tmp_path / "nothing"
    artifact.touch()
    session = SimpleNamespace(
        lines=lines(32, 1), device="cpu", limit_s=60.0, corpus=SimpleNamespace(alphabet="", size=(32, 400)), pace=Pace()
    )

    def measure(engine="steady", processes=2, **options):
        variant = Variant(
            "tried",
            "",
            "",
            framework="torch",
            runtime=f"crnn.tests.{engine}_runtime",
            runtime_options=options,
            suffix=".nothing",
            thresholds=Thresholds(parameters=0, macs=0, max_bytes=0, max_peak_memory_bytes=0),
        )
        runner = SimpleNamespace(variant=variant, artifact=artifact, evaluation=None)
        record, seconds = scaling.measure(session, runner, artifact, SIZES, processes)
        return record, seconds, seen

    return measure


class TestMeasuring:
    def test_the_record(self, measured):
        """Each process gives a ratio per size: here of a call of a millisecond to one of a millisecond."""
        record, seconds, _ = measured()

        assert record.scaling_sizes == list(SIZES)
        assert [len(ratios) for ratios in record.scaling_ratios] == [6, 6]
        assert np.median(record.scaling_ratios) == pytest.approx(1.0, rel=0.05)
        assert np.median(record.scaling_anchor_s) == pytest.approx(0.001, rel=0.2)
        assert (len(record.scaling_first_calls_s), len(record.scaling_peak_memory_bytes)) == (6, 6)
        assert record.scaling_left_out is None
        assert min(seconds) >= 0.001
        assert Scaling.from_json(record.to_json()) == record

    def test_each_process_has_its_own_order(self, measured):
        """The processes visit the sizes in different orders, none of them ascending."""
        _, _, sides = measured()

        orders = [[side.batch_size for side in part] for part in (sides[:6], sides[6:])]
        assert [sorted(order) for order in orders] == [list(SIZES)] * 2
        assert orders[0] != orders[1]
        assert list(SIZES) not in orders

    def test_outputs_are_compared(self, measured):
        """An output per size and process is compared with the evaluated ones."""
        _, _, sides = measured()

        assert [len(output) for side in sides for output in side.outputs.values()] == [s.batch_size for s in sides]


class TestMemory:
    @pytest.mark.parametrize("fault", ["has no memory for 9 lines", "is killed for 9 lines"])
    def test_a_call_that_runs_out_of_memory(self, measured, fault):
        """The study stops at the size before, and says so; all processes measure the sizes that remain."""
        record, _, _ = measured("broken", fault=fault)

        assert record.scaling_sizes == [1, 2, 4, 8]
        assert [len(ratios) for ratios in record.scaling_ratios] == [4, 4]
        assert record.scaling_left_out == "stopped at 8 lines: a call with 9 ran out of memory"

    def test_memory_that_would_not_suffice(self, measured, monkeypatch):
        """A size whose memory is not there is not tried: the machine would swap, or kill another program."""
        monkeypatch.setattr(scaling, "available_memory_bytes", lambda: -1)
        record, _, _ = measured()

        assert record.scaling_sizes == [1, 2, 4, 8]
        assert record.scaling_left_out.startswith("stopped at 8 lines: 9 would take ")

    def test_other_failures_fail(self, measured):
        """A call that fails for another reason fails the test, with the engine's message."""
        with pytest.raises(WorkerError, match="no kernel for this shape"):
            measured("broken", fault="has no kernel for 9 lines")


class TestSizesOfAFile:
    def test_a_file_per_batch_size(self, tmp_path):
        """A LiteRT file is made for the sizes that are asked for; its outputs are those of the file it comes from."""
        copy = built_for(QAT, (3, 5), tmp_path)
        draws = np.random.default_rng(1)
        images, field = draws.random((4, 32, 400), np.float32), np.eye(2, dtype=np.float32)[[0, 1, 1, 0]]
        field = np.repeat(field[:, None], 50, axis=1)  # (4, 2) -> (4, 50, 2)

        found, expected = (loaded(copy)(images[:3], field[:3]), loaded(QAT)(images, field)[:3])

        assert tflite_file.batch_sizes(tflite_file.read(copy.read_bytes())) == [3, 5]
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_any_other_file(self, tmp_path):
        """Formats without a batch size of their own stay as they are."""
        path = tmp_path / "any.onnx"

        assert built_for(path, (3, 5), tmp_path) == path


def loaded(path):
    """A LiteRT file in its engine."""
    runtime = Runtime()
    runtime.load(path, "cpu")
    return runtime


def collect(*arguments):
    """What pytest collects, or the message with which it refuses."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


class TestAsking:
    def test_only_where_its_file_is_named(self):
        """The study is no part of a run of all benchmarks; named, it has one test per row."""
        assert "test_batch_scaling" not in collect("benchmarks", "--variants=torch-original")
        assert "test_batch_scaling[torch-original]" in collect(
            "benchmarks/test_batch_scaling.py", "--variants=torch-original"
        )

    def test_too_few_sizes(self):
        """Fewer than five sizes are refused before anything is measured."""
        assert "--batch-sizes 1,2,4: 3 sizes; this study needs at least 5" in collect(
            "benchmarks/test_batch_scaling.py", "--batch-sizes=1,2,4"
        )
