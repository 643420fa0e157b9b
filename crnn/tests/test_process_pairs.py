"""Pairs of fresh processes, and the anchors that they are measured beside."""

import ast
from pathlib import Path

import numpy as np
import pytest

from crnn.corpus.lines import TIME_STEPS, Lines
from crnn.measure import process_pairs
from crnn.measure.accuracy import check_log_probs
from crnn.measure.process_pairs import Meter, Workload, can_pin, gate_core, measure, settings
from crnn.registry.variant import Thresholds, Variant
from crnn.runtimes import anchors
from crnn.runtimes.base import runtime_class
from crnn.runtimes.process import WorkerError, WorkerProcess

ANCHORS = sorted(path.stem for path in Path(anchors.__file__).parent.glob("*_anchor.py"))
STEADY = "crnn.tests.steady_runtime"


@pytest.fixture
def lines():
    """Three lines."""
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 400), np.uint8)
    return Lines(images, ("1", "2", "3"), np.zeros(3, np.uint8), ("", "", ""), np.zeros(3, bool))


class TestAnchors:
    @pytest.mark.parametrize("name", ANCHORS)
    def test_answers_as_a_variant_does(self, name):
        """An anchor does the variants' work: batches in, log probabilities out."""
        anchor = runtime_class(f"crnn.runtimes.anchors.{name}")()
        anchor.load(Path(), "cpu")
        log_probs = anchor(np.ones((2, 32, 400), np.float32), np.ones((2, TIME_STEPS, 2), np.float32))

        assert (log_probs.shape, log_probs.dtype) == ((2, TIME_STEPS, 46), np.float32)
        check_log_probs(log_probs)

    @pytest.mark.parametrize("name", ANCHORS)
    def test_shares_no_code_with_the_variants(self, name):
        """What makes a variant slower must not make its anchor slower too."""
        tree = ast.parse((Path(anchors.__file__).parent / f"{name}.py").read_text("utf-8"))
        ours = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "crnn" in node.module}

        assert ours <= {"crnn.runtimes.anchors", "crnn.runtimes.base"}

    def test_every_engine_has_one(self):
        """Each engine of the registry names an anchor that exists."""
        engines = ("onnx", "tensorflow", "torch")

        assert [runtime_class(runtime_class(engine).anchor).__module__.split(".")[-1] for engine in engines] == ANCHORS


class TestMeasure:
    def test_a_slowdown_is_the_ratio(self, lines, monkeypatch):
        """A workload whose calls take a fifth longer than the other's gives a ratio of 1.2."""
        monkeypatch.setenv("CRNN_SLOWED", "slow")
        slow, steady = Workload("slow", STEADY, options={"name": "slow"}), Workload("steady", STEADY)

        assert measure((slow, steady), lines, 1).ratio == pytest.approx(1.2, rel=0.02)
        assert measure((steady, slow), lines, 1, order=1).ratio == pytest.approx(1 / 1.2, rel=0.02)

    def test_more_threads_than_asked_for_are_refused(self, lines, monkeypatch):
        """An engine that takes no notice of the thread count cannot be compared."""
        monkeypatch.setattr(process_pairs, "THREADS", 2)

        with pytest.raises(WorkerError, match="steady: computes with 1 threads, asked for 2"):
            measure((Workload("steady", STEADY), Workload("steady", STEADY)), lines, 1)

    def test_a_failure_names_the_workload(self, lines):
        """Whose worker it was stands in the message."""
        broken = Workload("the broken one", "crnn.tests.broken_runtime", options={"fault": "crashes"})

        with pytest.raises(WorkerError, match="the broken one: the worker died"):
            measure((broken, Workload("steady", STEADY)), lines, 1)

    @pytest.mark.skipif(not can_pin(), reason="this system keeps no process on a core")
    def test_pins_every_thread(self):
        """A pinned worker's threads, the engine's own too, stay on one core."""
        import os

        with WorkerProcess("onnx") as worker:
            worker.ask("load", "crnn.runtimes.anchors.onnx_anchor", "", "cpu", {}, 2)
            worker.pin(gate_core())
            threads = [int(path.name) for path in Path(f"/proc/{worker.process_id}/task").iterdir()]

            assert len(threads) > 1
            assert {frozenset(os.sched_getaffinity(thread)) for thread in threads} == {frozenset({gate_core()})}


class TestMeter:
    @pytest.fixture
    def meter(self, lines, tmp_path):
        """Of a variant that takes a millisecond."""
        limits = Thresholds(max_cer=1, parameters=0, max_bytes=1)
        variant = Variant("steady", "none", "none:none", runtime=STEADY, suffix=".bin", thresholds=limits)
        return Meter(variant, tmp_path / "none", lines, 1, "cpu", 60)

    def test_hands_back_what_timed_calls_answered(self, meter, lines):
        """Answers of timed calls are compared with those that were judged."""
        assert meter.next_ratio() == pytest.approx(1, rel=0.02)
        judged = np.full((len(lines), TIME_STEPS, 46), np.float32(-np.log(46)))

        assert meter.timed_differently(judged) == 0
        assert meter.timed_differently(judged + np.float32(0.5)) == 0.5

    def test_settings_tell_anchors_apart(self, meter):
        """Ratios to different anchors are not comparable."""
        other = settings(Workload("anchor", "crnn.runtimes.noop_runtime"), 1)

        assert settings(meter.reference, 1)["anchor_sha256"] != other["anchor_sha256"]
