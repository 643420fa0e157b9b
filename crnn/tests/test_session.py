"""A session of simulated engines: processes per row, what the evaluation reads, what a quick run leaves out."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest

from crnn.corpus.lines import Corpus, Lines
from crnn.formats.counts import Counts
from crnn.measure import replicate, session
from crnn.measure.latency import Plan
from crnn.measure.replicate import Setting
from crnn.measure.scope import Scope
from crnn.measure.session import Session
from crnn.registry.variant import Thresholds, Variant
from crnn.runtimes.process import WorkerError, WorkerProcess

STEADY = "crnn.tests.steady_runtime"
LINES, SIZES = 40, (1, 8)
PLAN = Plan(warmup_s=0.01, pairs=2, block_s=0.01, settles=False)
LIMITS = Thresholds(parameters=0, macs=0, max_bytes=1, max_peak_memory_bytes=1)
ROW = Variant("row", "none", "none:none", "none", STEADY, ".bin", LIMITS, counted_by="crnn.tests.nothing_file")


@pytest.fixture
def corpus():
    """Forty lines of noise, labelled with one character each."""
    images = np.random.default_rng(1).integers(0, 256, (LINES, 32, 400), np.uint8)
    letters = "".join(map(chr, range(0x430, 0x430 + 45)))
    lines = Lines(images, tuple(letters[:LINES]), np.zeros(LINES, np.uint8), ("",) * LINES, np.zeros(LINES, bool))
    return Corpus("tiny", letters, "", lines, lambda: None)


@pytest.fixture
def opened(corpus, tmp_path, monkeypatch):
    """Open a session whose rows and anchor are engines that take a millisecond per call."""
    artifact = tmp_path / "nothing.bin"
    artifact.write_bytes(b"nothing")
    monkeypatch.setattr(session.Session, "_artifact", lambda *_: artifact)
    monkeypatch.setattr(replicate, "shared_anchor", lambda: STEADY)
    sessions = []

    def opened(rows=(), references=(), larger=lambda *_: None, **scope):
        told = []
        settings = {"batch_sizes": SIZES, "plan": PLAN, "evaluated_at": 8} | scope
        sessions.append(
            Session(
                corpus,
                Scope(**settings),
                device="cpu",
                rows=rows,
                references=references,
                larger=larger,
                tell=lambda *words: told.append(words),
            )
        )
        return sessions[-1], told

    yield opened
    for one in sessions:
        one.close()


@pytest.mark.parametrize("changed", [True, False])
def test_a_changed_row_reads_more_lines(opened, corpus, changed):
    """Further lines are evaluated apart, after those of the test split, if the row is to read some."""
    measuring, _ = opened(larger=lambda *_: corpus.test if changed else None)
    record = measuring.accuracy(measuring.runner(ROW))

    assert (record.larger_line_edits is not None) == changed
    if changed:
        assert record.larger_line_edits.tolist() == record.line_edits.tolist()
        assert record.larger_line_characters.tolist() == record.line_characters.tolist()


def test_a_latency_has_a_ratio_per_process(opened):
    """Three processes give three ratios to the anchor, close to one for two engines of the same speed."""
    measuring, _ = opened(processes=3, rows=[ROW])
    record, seconds = measuring.latency(measuring.runner(ROW), 8)

    assert record.anchor_ratios == pytest.approx([1.0] * 3, rel=0.1)
    assert (len(record.process_medians_s), record.timed_calls_count) == (3, len(seconds))
    assert record.latency_median_low_s <= record.latency_median_s <= record.latency_median_high_s


def test_a_process_is_measured_once(opened):
    """Asking for a row again starts no further process."""
    measuring, told = opened(processes=2, rows=[ROW])
    runner = measuring.runner(ROW)
    records = [measuring.latency(measuring.runner(ROW), size)[0] for size in SIZES]
    count = len(told)

    assert (measuring.runner(ROW), measuring.latency(runner, 1)[0], len(told)) == (runner, records[0], count)


def test_progress_names_process_and_batch(opened):
    """What is told names the batch size and the process of how many."""
    measuring, told = opened(processes=2, rows=[ROW])
    measuring.latency(measuring.runner(ROW), 1)

    assert ("row", "timing batch 8, process 1 of 2") in told
    assert ("row", "timing batch 1, process 2 of 2") in told


@pytest.mark.parametrize(("processes", "read"), [(1, 5 - 3 + 1), (2, 5 - 5 + 1)])
def test_the_evaluation_reads_what_was_not_timed(opened, processes, read):
    """Outputs of calls at the evaluation's batch size are evaluated too; one timed batch is read again."""
    one_call_per_block = Plan(warmup_s=0.0, pairs=1, block_s=0.0, settles=False)
    reading = opened(plan=one_call_per_block, processes=processes, rows=[ROW])[0].runner(ROW).reading

    # Of the five batches of eight, the first call, one to warm up and the timed one have read three; a second process
    # begins at the third batch.
    assert len(reading.batch_seconds) == read
    assert reading.evaluation.log_probs.shape[0] == LINES


def test_a_timed_batch_is_always_read_again(opened):
    """Even if calls have covered all lines, one batch is read to compare outputs and to count threads."""
    reading = opened()[0].runner(ROW).reading

    assert (len(reading.batch_seconds), reading.threads) == (1, 1)


def test_processes_are_spread_over_the_visits_of_other_rows(opened):
    """Later rows get their first processes while earlier ones are visited; each has all of them in the end."""
    rows = [replace(ROW, name=name) for name in ("first", "second")]
    measuring, told = opened(processes=2, rows=rows)
    measuring.runner(rows[0])
    begun = [words for words in told if words[1].startswith("loading")]
    measured = [len(measuring.runner(row).replicates) for row in rows]

    assert begun == [("first", "loading, process 1 of 2"), ("second", "loading, process 1 of 2"),
                     ("first", "loading, process 2 of 2")]  # fmt: skip
    assert measured == [2, 2]


def test_a_reference_is_measured_during_the_whole_run(opened):
    """Its error is in every speed-up, so it gets one more process in every fifth visit."""
    rows = [replace(ROW, name=str(index)) for index in range(11)]
    measuring, told = opened(batch_sizes=(1,), processes=2, rows=rows, references=rows[:1])
    counts = [len(measuring.runner(row).replicates) for row in rows]
    record, _ = measuring.latency(measuring.runner(rows[0]), 1)

    assert counts == [2] * 11
    assert (len(record.anchor_ratios), ("0", "loading, process 4") in told) == (4, True)


def test_a_row_that_fails_ahead_fails_its_own_tests_only(opened):
    """A later row's failure is reported where that row is asked for."""
    broken = replace(ROW, name="broken", runtime="crnn.tests.broken_runtime", runtime_options={"fault": "exits"})
    measuring, _ = opened(processes=2, rows=[ROW, broken])

    assert len(measuring.runner(ROW).replicates) == 2
    with pytest.raises(WorkerError, match="the last words"):
        measuring.runner(broken)


@pytest.mark.parametrize(("differing", "read"), [(0, 5 - 2 + 1), (1, 5)])
def test_rows_that_quantize_at_run_time_are_evaluated_at_one_size(opened, differing, read):
    """Their outputs depend on the batch size, so calls at another one do not count; for other rows they do."""
    row = replace(ROW, thresholds=replace(LIMITS, max_lines_read_differently=differing))
    many_calls = Plan(warmup_s=0.0, pairs=15, block_s=0.0, settles=False)
    measuring, _ = opened(batch_sizes=(1,), plan=many_calls)

    # Seventeen lines cover two batches of eight, of which the first is read again, and a part of the third.
    assert len(measuring.runner(row).reading.batch_seconds) == read


def test_fewer_lines(opened):
    """A scope with fewer lines evaluates the first ones, and the identity says how many."""
    measuring, _ = opened(lines=16)
    runner = measuring.runner(ROW)

    assert (len(runner.evaluation.edits), measuring.identity(runner).lines_count) == (16, 16)


def test_memory_and_load_time(opened):
    """Memory is resident after loading and at its peak after calls; the load time is that of an undisturbed load."""
    measuring, _ = opened(processes=2, rows=[ROW])
    footprint = measuring.footprint(measuring.runner(ROW))

    assert footprint.peak_memory_bytes >= footprint.resident_after_load_bytes > 0
    assert (footprint.largest_batch_size_lines, footprint.processes_count, footprint.load_s > 0) == (8, 2, True)
    assert {"load", "pairs", "evaluate"} <= footprint.phases_s.keys()


def test_a_quick_run_has_no_first_call_and_no_load_time(opened):
    """A process that compiles while other work runs reports neither."""
    measuring, _ = opened(prepares=True)
    runner = measuring.runner(ROW)

    assert measuring.footprint(runner).load_s is None
    assert measuring.latency(runner, 1)[0].first_call_s is None


def test_nothing_is_timed_while_another_row_loads(opened, monkeypatch):
    """While a row is evaluated the next one loads; whatever is timed after that waits until it has loaded."""
    rows = [replace(ROW, name=name) for name in ("first", "second", "original")]
    measuring, _ = opened(processes=2, rows=rows[:2])
    monkeypatch.setattr(session.artifacts, "is_built", lambda *_: True)
    ready, measure = [], Setting.measure

    def watched(self, *arguments):
        ready.append([loading.done for loading in measuring._loading.values()])
        return measure(self, *arguments)

    monkeypatch.setattr(Setting, "measure", watched)
    measuring.runner(rows[0])
    measuring.runner(rows[2])
    measuring.runner(rows[1])

    assert ready == [[], [], [], [True], []]


def test_two_rows_load_at_once_in_a_quick_run(opened, monkeypatch):
    """Loading takes one core: with one process per row the next two rows load while a row is evaluated."""
    rows = [replace(ROW, name=name) for name in ("first", "second", "third", "fourth")]
    measuring, _ = opened(prepares=True, rows=rows)
    monkeypatch.setattr(session.artifacts, "is_built", lambda *_: True)
    loading = []
    for row in rows:
        measuring.runner(row)
        loading.append([*measuring._loading])

    assert loading == [["second", "third"], ["third"], ["fourth"], []]


def test_a_row_that_fails_while_it_loads_fails_alone(opened, monkeypatch):
    """If the next row cannot be loaded, the row that is measured meanwhile passes."""
    options = {"fault": "raises in load"}
    rows = [ROW, replace(ROW, name="broken", runtime="crnn.tests.broken_runtime", runtime_options=options)]
    measuring, _ = opened(processes=2, rows=rows)
    monkeypatch.setattr(session.artifacts, "is_built", lambda *_: True)

    assert len(measuring.latency(measuring.runner(ROW), 1)[0].anchor_ratios) == 2
    with pytest.raises(WorkerError, match="no kernel for this graph"):
        measuring.runner(rows[1])


def test_nothing_is_timed_without_a_plan(opened):
    """Without a plan the row is called once per size, evaluated and counted."""
    measuring, _ = opened(plan=None)
    runner = measuring.runner(ROW)

    assert [at.seconds for at in runner.replicates[0].sizes.values()] == [[], []]
    assert (runner.counted, measuring.footprint(runner).peak_memory_bytes > 0) == (Counts(0, 0, 0, 0), True)


def test_a_later_process_that_fails_fails_the_row(opened, monkeypatch):
    """If the second process fails, each test of the row gets its error, and no further process is started."""
    measuring, _ = opened(processes=2, rows=[ROW])
    measuring._another(ROW)
    start = Mock(side_effect=WorkerError("row: no memory"))
    monkeypatch.setattr(WorkerProcess, "__init__", start)
    for _ in SIZES:
        with pytest.raises(WorkerError, match="row: no memory"):
            measuring.runner(ROW)
    assert start.call_count == 1


def test_the_machine_is_watched_while_blocks_run(opened, monkeypatch):
    """What disturbs the blocks is counted in the record."""
    measuring, _ = opened()
    monkeypatch.setattr(measuring.watch, "disturbances", lambda *_: ("steal",))
    record, _ = measuring.latency(measuring.runner(ROW), 1)

    assert (record.disturbances, record.disturbed_pairs_count, record.remeasured_pairs_count) == (["steal"], 2, 3)
