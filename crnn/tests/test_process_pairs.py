"""Pairs of fresh processes, and their anchors."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crnn.corpus.lines import Corpus, Lines
from crnn.formats.counts import Counts
from crnn.interface import BUILT_IN
from crnn.measure import meters, process_pairs
from crnn.measure.accuracy import check_outputs
from crnn.measure.latency import Plan, Side, unwatched
from crnn.measure.meters import DeploymentMeter, RelativeMeter
from crnn.measure.pace import Pace
from crnn.measure.process_pairs import ONE_THREAD, Pair, anchor_of, called_as, can_pin, deployment, gate_core, measure
from crnn.measure.replicate import Phases
from crnn.measure.row import Runner
from crnn.measure.scope import Scope
from crnn.measure.session import Session
from crnn.measure.workload import Reading, Workload, evaluated
from crnn.registry import get
from crnn.registry.variant import Thresholds, Variant
from crnn.runtimes import anchors
from crnn.runtimes.anchors import Anchor
from crnn.runtimes.base import engine_names, runtime_class
from crnn.runtimes.process import WorkerError, WorkerProcess

ANCHORS = sorted(path.stem for path in Path(anchors.__file__).parent.glob("*_anchor.py"))
STEADY = "crnn.tests.steady_runtime"


@pytest.fixture
def lines():
    """Three lines."""
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 400), np.uint8)
    return Lines(images, ("1", "2", "3"), np.zeros(3, np.uint8), ("", "", ""), np.zeros(3, bool))


def relabelled(lines):
    """The lines with labels from the alphabet."""
    return Lines(lines.images, ("а", "б", "в"), lines.kinds, lines.typefaces, lines.seen)


class TestAnchors:
    @pytest.mark.parametrize("name", ANCHORS)
    def test_answers_as_a_variant_does(self, name):
        """An anchor takes batches and returns log probabilities, as a variant does."""
        anchor = runtime_class(f"crnn.runtimes.anchors.{name}")()
        anchor.load(Path(), "cpu")
        log_probs = anchor(np.ones((2, 32, 400), np.float32), np.ones((2, BUILT_IN.time_steps, 2), np.float32))

        assert (log_probs.shape, log_probs.dtype) == ((2, BUILT_IN.time_steps, 46), np.float32)
        check_outputs(log_probs, 2, "x" * 45)

    @pytest.mark.parametrize("name", ANCHORS)
    def test_shares_no_code_with_the_variants(self, name):
        """An anchor imports none of the variants' code, so nothing can slow both down."""
        tree = ast.parse((Path(anchors.__file__).parent / f"{name}.py").read_text("utf-8"))
        ours = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "crnn" in node.module}

        assert ours <= {"crnn.runtimes.anchors", "crnn.runtimes.base"}

    @pytest.mark.parametrize("engine", engine_names())
    def test_every_engine_has_one(self, engine):
        """Each engine names an existing anchor, on its own framework if there is one."""
        anchor = runtime_class(engine).anchor

        assert issubclass(runtime_class(anchor), Anchor)
        assert f"{engine}_anchor" not in ANCHORS or anchor == f"crnn.runtimes.anchors.{engine}_anchor"

    @pytest.mark.parametrize("name", ANCHORS)
    def test_each_is_some_engine_s(self, name):
        """Every anchor is used by an engine, or by small models."""
        used = {runtime_class(engine).anchor for engine in engine_names()} | {anchors.SMALL}

        assert f"crnn.runtimes.anchors.{name}" in used

    @pytest.mark.parametrize(
        ("small", "setting", "module"),
        [
            (True, ONE_THREAD, anchors.SMALL),
            (True, deployment(128), "crnn.runtimes.anchors.onnx_anchor"),
            (False, ONE_THREAD, "crnn.runtimes.anchors.onnx_anchor"),
        ],
    )
    def test_a_small_model_has_a_small_one(self, small, setting, module):
        """At one thread, where a core's caches decide, a model that fits in them is paired with another that does."""
        assert anchor_of(replace(get("ort-torch2onnx"), small=small), setting) == module


class TestMeasure:
    def test_a_slowdown_is_the_ratio(self, lines, monkeypatch):
        """A workload whose calls take 20 % longer than the other's gives a ratio of 1.2."""
        monkeypatch.setenv("CRNN_SLOWED", "slow")
        slow, steady = Workload("slow", STEADY, options={"name": "slow"}), Workload("steady", STEADY)

        assert measure((slow, steady), lines).ratio == pytest.approx(1.2, rel=0.02)
        assert measure((steady, slow), lines, order=1).ratio == pytest.approx(1 / 1.2, rel=0.02)

    def test_more_threads_than_asked_for_are_refused(self, lines):
        """An engine that computes with more threads than requested is refused."""
        greedy = Workload("greedy", "crnn.tests.greedy_runtime")

        with pytest.raises(WorkerError, match=r"greedy: [23] threads compute, 1 was asked for"):
            measure((greedy, Workload("steady", STEADY)), lines)

    def test_a_failure_names_the_workload(self, lines):
        """A failure's message names the workload whose worker failed."""
        broken = Workload("the broken one", "crnn.tests.broken_runtime", options={"fault": "crashes"})

        with pytest.raises(WorkerError, match="the broken one: the worker died"):
            measure((broken, Workload("steady", STEADY)), lines)

    @pytest.mark.skipif(not can_pin(), reason="this system keeps no process on a core")
    def test_pins_every_thread(self):
        """All threads of a pinned worker, including the engine's own, stay on one core."""
        import os

        with WorkerProcess("onnx") as worker:
            worker.ask("load", "crnn.runtimes.anchors.onnx_anchor", "", "cpu", {}, 2)
            worker.pin(gate_core())
            threads = [int(path.name) for path in Path(f"/proc/{worker.process_id}/task").iterdir()]

            assert len(threads) > 1
            assert {frozenset(os.sched_getaffinity(thread)) for thread in threads} == {frozenset({gate_core()})}

    @pytest.mark.parametrize(("seconds", "processes", "load", "start"), [(100.0, 6, 3.0, 4.0), (0.0, 2, 9.0, 8.0)])
    def test_what_loads_fast_is_started_several_times(self, lines, monkeypatch, seconds, processes, load, start):
        """Fresh pairs are started for their loading alone, unless loading takes long; their median counts."""
        started, process = [], Workload.process
        monkeypatch.setattr(process_pairs, "_STARTS_S", seconds)
        monkeypatch.setattr(Workload, "process", lambda *given: started.append(given[0].name) or process(*given))
        setting = replace(ONE_THREAD, plan=Plan(warmup_s=0.01, pairs=1, block_s=0.01), starts=3)
        ratios = iter([(9.0, 8.0), (1.0, 2.0), (3.0, 4.0)])
        monkeypatch.setattr(process_pairs._Start, "of", lambda *_: process_pairs._Start(*next(ratios), 0.0))
        pair = measure((Workload("steady", STEADY), Workload("anchor", STEADY)), lines, setting)

        assert (len(started), pair.load, pair.start) == (processes, load, start)


class TestMeter:
    @pytest.fixture
    def measured(self, lines, tmp_path):
        """Session and runner of a variant whose calls take one millisecond."""
        limits = Thresholds(parameters=0, macs=0, max_bytes=1, max_peak_memory_bytes=1)
        variant = Variant("steady", "none", "none:none", "none", STEADY, ".bin", limits)
        artifact = tmp_path / "none"
        artifact.touch()
        corpus = Corpus("tiny", "".join(map(chr, range(0x430, 0x430 + 45))), "", relabelled(lines), lambda: None)
        with evaluated(Workload.of(variant, artifact, corpus), corpus) as run:
            reading = Reading(run.evaluation, [], None)
            runner = Runner(variant, artifact, reading, Counts(0, 0, 0, 0), [], Phases())
            yield Session(corpus, Scope((1, 4)), device="cpu", limit_s=60), runner

    def test_compares_timed_outputs_with_the_evaluated_ones(self, measured):
        """Timed outputs are compared with the evaluated ones, and the record holds the difference."""
        meter = RelativeMeter(*measured)
        ratios = meter.next_ratios()
        record = meter.record([ratios])

        assert ratios == {"gate_ratios": pytest.approx(1, rel=0.05)}
        assert (record.gate_answers_log_prob_difference_nats, record.gate_lines_read_differently_count) == (0, 0)
        assert (record.anchor, record.gate_threads_count) == (STEADY, 1)
        assert record.gate_ratios == [ratios["gate_ratios"]]

    def test_a_deployment_is_measured_at_both_sizes(self, measured):
        """At deployment settings a pair gives calls with one line and the largest batch, and loading."""
        meter = DeploymentMeter(*measured)
        ratios = meter.next_ratios()
        record = meter.record([ratios], [ratios])

        assert (record.deployed_ratios, record.deployed_largest_ratios) == ([pytest.approx(1, rel=0.05)],) * 2
        assert record.deployed_largest_batch_size_lines == 4
        loads = [ratios["deployed_load_ratios"]]
        assert (record.deployed_load_ratios, record.confirmation("deployed_load_ratios")) == (loads, loads)
        assert record.deployed_lines_read_differently_count == 0

    @pytest.mark.parametrize(
        ("fields", "sizes", "starts", "apart"),
        [
            (["deployed_ratios"], (1,), 1, False),
            (["deployed_largest_ratios"], (4,), 1, False),
            (["deployed_ratios", "deployed_largest_first_call_ratios"], (1, 4), 1, False),
            (["deployed_load_ratios"], (1,), 4, True),
            (["deployed_largest_ratios", "deployed_start_ratios"], (1, 4), 4, True),
        ],
    )
    def test_pairs_for_some_fields_leave_the_rest_out(self, measured, fields, sizes, starts, apart):
        """Sizes and repeated starts that no field needs are not measured; both load at once unless that counts."""
        meter = DeploymentMeter(*measured)
        plan = str(meter.setting.plan)
        meter.only(fields)
        setting = meter.setting

        assert (setting.batch_sizes, setting.starts, setting.loads_apart) == (sizes, starts, apart)
        assert str(setting) == f"Setting(batch_sizes={sizes}, plan={plan}, threads=None, starts={starts})"
        assert tuple(meter.next_pair().calls) == sizes

    def test_only_larger_batches_are_slower(self, lines, monkeypatch):
        """A slowdown of large batches shows in their ratio alone."""
        monkeypatch.setenv("CRNN_SLOWED", "slow")
        slow, steady = Workload("slow", STEADY, options={"name": "slow", "from_lines": 2}), Workload("steady", STEADY)
        pair = measure((slow, steady), lines, deployment(4))

        assert pair.calls == {1: pytest.approx(1, rel=0.05), 4: pytest.approx(1.2, rel=0.05)}

    def test_the_anchor_s_pace_is_the_session_s(self, measured):
        """The anchor's fastest call is saved, and known to the next row's meter."""
        meter, other = RelativeMeter(*measured), RelativeMeter(*measured)
        record = meter.record([meter.next_ratios()])
        other.next_ratios()

        assert (record.gate_anchor_s > 0, record.gate_disturbed_pairs_count) == (True, 0)
        assert other.anchor_s <= record.gate_anchor_s

    def test_a_slow_anchor_disturbs_the_pair(self, lines):
        """If the anchor was faster before, the pair is disturbed."""
        workloads, pace = (Workload("one", STEADY), Workload("anchor", STEADY)), Pace()
        pace.expect(called_as(workloads[1], ONE_THREAD), 1e-5)

        assert [measure(workloads, lines, pace=known).disturbed for known in (pace, None)] == [True, False]
        assert measure(workloads, lines, pace=pace, alike=True).disturbed is False

    @pytest.mark.parametrize(
        ("precision", "small", "alike"), [("fp32", False, True), ("int8", False, False), ("fp32", True, False)]
    )
    def test_slow_phases_disturb_what_they_slow_down_more(self, measured, monkeypatch, precision, small, alike):
        """An int8 or a small model waits for a fast pace."""
        session, runner = measured
        changed = replace(runner, variant=replace(runner.variant, precision=precision, small=small))
        told = []
        monkeypatch.setattr(
            meters,
            "measure",
            lambda *_, **how: told.append(how["alike"]) or Pair({1: 1.0}, {1: 1.0}, 1.0, 1.0, [Side(None, 1)]),
        )
        RelativeMeter(session, changed).next_ratios()

        assert told == [alike]

    def test_pairs_with_the_same_model_are_not_probed(self, measured, monkeypatch):
        """A base is slowed down as this commit is: the calls that look for it would only make the pair unequal."""
        called = []
        monkeypatch.setattr(process_pairs, "Probe", lambda *_: called.append("probe") or unwatched)
        for reference in (Workload("base", STEADY), None):
            RelativeMeter(*measured, reference).next_ratios()
            called.append("pair")

        assert called == ["pair", "probe", "pair"]

    @pytest.mark.parametrize(
        ("patience_s", "of_run_s", "calls", "disturbed"), [(60, 60, 2, 0), (0, 60, 1, 1), (60, 0, 1, 1)]
    )
    def test_a_disturbed_pair_is_measured_again(self, measured, monkeypatch, patience_s, of_run_s, calls, disturbed):
        """A disturbed pair is discarded, and counted where there is no time left to measure it again."""
        meter, order = RelativeMeter(*measured), []

        def pretended(*_, **how):
            order.append(how["order"])
            return Pair({1: 1.0}, {1: 1.0}, 1.0, 1.0, [Side(None, 1)], disturbed=len(order) == 1)

        monkeypatch.setattr(meters, "measure", pretended)
        monkeypatch.setattr(meter, "_patience_s", patience_s)
        pace = measured[0].pace
        pace.patience_s = of_run_s
        meter.next_ratios()

        assert (order, meter.disturbed) == ([0] * calls, disturbed)
        assert (pace.patience_s < of_run_s) == (calls > 1)

    def test_settings_tell_anchors_apart(self, measured):
        """Different anchors have different hashes, so that their ratios are not compared."""
        meter, other = RelativeMeter(*measured), RelativeMeter(*measured, Workload("", "crnn.runtimes.noop_runtime"))

        assert meter.record().anchor_sha256 != other.record().anchor_sha256
