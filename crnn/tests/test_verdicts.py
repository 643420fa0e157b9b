"""The gate's verdicts on two saved runs, one of them modified."""

import functools
import json
from dataclasses import replace

import numpy as np
import pytest

from crnn.gate import summary
from crnn.gate.runs import RunError, read
from crnn.gate.verdicts import INCOMPARABLE_STATUS, INCONCLUSIVE_STATUS, REGRESSED_STATUS
from crnn.measure.packing import pack
from crnn.tests import saved_runs
from crnn.tests.saved_runs import ACCURACY, EDITS, FOOTPRINT_INFO, GATE_INFO, LATENCY_INFO, LINES, accuracy, on, run


@pytest.fixture
def compare(tmp_path):
    """Compare a modified run with the unmodified one; return the verdicts by measurement, and the exit status."""
    return functools.partial(saved_runs.compared, tmp_path)


SLOW = LATENCY_INFO | {"latency_median_s": 0.025, "anchor_ratios": [5.0, 5.25, 4.75], "process_medians_s": [0.025] * 3}


class TestUnchanged:
    def test_is_the_same_in_everything(self, compare):
        """A run compared with itself has nothing to report."""
        assert compare(run()) == ({}, 0)


class TestWorse:
    @pytest.mark.parametrize(
        ("after", "measure", "message"),
        [
            (
                run(gate=GATE_INFO | {"gate_ratios": [1.1, 1.11, 1.1, 1.105]}),
                "relative_latency",
                "relative_latency regressed, 1 -> 1.104 x anchor (+10.",
            ),
            (
                run(latency=SLOW),
                "latency",
                "latency regressed, 10 -> 25 ms (+150.0 %, limit 100 %)",
            ),
            (run(accuracy=accuracy(EDITS + (np.arange(LINES) % 10 == 3).astype(np.uint16))), "cer", "cer regressed"),
            (run(accuracy=accuracy(losses=np.full(LINES, 0.4, np.float32))), "loss", "0.3 -> 0.4 nats"),
            (run(footprint=FOOTPRINT_INFO | {"parameters_stored_count": 1_492_399}), "parameters", "limit 0 %"),
            (
                run(footprint=FOOTPRINT_INFO | {"file_bytes": 6_100_000}),
                "bytes",
                "6,000,000 -> 6,100,000 bytes (+1.7 %, limit 1 %)",
            ),
            (run(footprint=FOOTPRINT_INFO | {"peak_memory_bytes": 900_000_000}), "memory", "+12.5 %, limit 10 %"),
        ],
        ids=lambda value: value if isinstance(value, str) and " " not in value else "",
    )
    def test_is_red_and_says_so(self, compare, after, measure, message):
        """A value that is worse by more than its limit is a regression, with before, after and limit in the message."""
        verdicts, code = compare(after)

        assert (set(verdicts), code) == ({measure}, REGRESSED_STATUS)
        assert message in str(verdicts[measure])

    def test_a_limit_of_one_s_own(self, compare):
        """A limit given by the user decides which changes count."""
        larger = run(footprint=FOOTPRINT_INFO | {"file_bytes": 6_100_000})

        codes = [compare(larger, limits)[1] for limits in ("bytes=2%", "bytes=off", "bytes=1.5%")]
        assert codes == [0, 0, REGRESSED_STATUS]

    def test_a_registry_s_own_limit(self, compare, monkeypatch):
        """A registry entry's own limit overrides the default."""
        from crnn import registry
        from crnn.gate import runs

        own = replace(registry.VARIANTS[0].thresholds, gate={"bytes": "2%"})
        monkeypatch.setattr(runs, "VARIANTS", (replace(registry.VARIANTS[0], thresholds=own),))

        assert compare(run(footprint=FOOTPRINT_INFO | {"file_bytes": 6_100_000})) == ({}, 0)

    def test_a_regression_counts_before_what_cannot_be_compared(self, compare):
        """In the exit status, a regression takes precedence over a result that cannot be compared."""
        after = run(footprint=FOOTPRINT_INFO | {"file_bytes": 7_000_000}, gate=None)

        assert compare(after)[1] == REGRESSED_STATUS


class TestBetter:
    @pytest.mark.parametrize(
        ("after", "measure", "word"),
        [
            (run(gate=GATE_INFO | {"gate_ratios": [0.9, 0.91, 0.9, 0.905]}), "relative_latency", "faster"),
            (run(accuracy=accuracy(EDITS * 0)), "cer", "better"),
            (run(footprint=FOOTPRINT_INFO | {"file_bytes": 5_000_000}), "bytes", "smaller"),
        ],
        ids=["latency", "cer", "bytes"],
    )
    def test_is_reported_and_passes(self, compare, after, measure, word):
        """A gain passes, with a hint to promote the run."""
        verdicts, code = compare(after)

        assert (verdicts[measure].word, code) == (word, 0)
        assert ["baseline promote" in hint for hint in summary.hints(list(verdicts.values()))] == [True]


class TestUnclear:
    def test_too_much_spread_is_inconclusive(self, compare):
        """A run that could not have detected a change as large as the limit does not pass."""
        verdicts, code = compare(run(gate=GATE_INFO | {"gate_ratios": [0.9, 1.1, 1.08, 0.95]}))

        assert (verdicts["relative_latency"].word, code) == ("inconclusive", INCONCLUSIVE_STATUS)

    def test_an_unconfirmed_slowdown_is_none(self, compare):
        """A slowdown that the second sitting does not show is not reported."""
        again = {"gate_ratios": [1.1, 1.11], "gate_confirmation_ratios": [1.0, 1.001, 0.999] * 5}

        assert compare(run(gate=GATE_INFO | again)) == ({}, 0)

    @pytest.mark.parametrize(("ratios", "word"), [([1.0, 1.01, 0.99] * 3, "same"), ([1.08, 1.081] * 4, "slower")])
    def test_pairs_with_the_baseline_s_commit_decide(self, compare, ratios, word):
        """Where they were measured, they alone decide, in saved files too."""
        again = {"gate_ratios": [1.1, 1.11], "gate_direct_ratios": {saved_runs.COMMIT: {"gate_ratios": ratios}}}
        verdicts, _ = compare(run(gate=GATE_INFO | again))

        assert {name: verdict.word for name, verdict in verdicts.items()} == (
            {} if word == "same" else {"relative_latency": word}
        )

    def test_the_pairs_of_both_sittings_decide(self, compare):
        """A few later pairs do not outweigh a slowdown that as many earlier ones showed."""
        again = {"gate_ratios": [1.1, 1.11], "gate_confirmation_ratios": [1.0, 1.001, 0.999]}
        verdicts, _ = compare(run(gate=GATE_INFO | again))

        assert (verdicts["relative_latency"].word, verdicts["relative_latency"].reason) == (
            "inconclusive",
            "2 process pairs and 3 later ones",
        )


class TestNoFalseGreen:
    """Runs that could pass by mistake; each ends red with its own message."""

    @pytest.mark.parametrize(
        ("after", "message"),
        [
            (run(gate=None), "process_pairs[torch-original]: missing"),
            (run(accuracy=None, footprint=None, latency=None), "test_footprint[torch-original]: missing"),
            (on({"cpu": "another"}), "unlike machines: cpu ("),
            (on({"settings": {"OMP_NUM_THREADS": "7"}}), "settings.OMP_NUM_THREADS (None, 7)"),
            (on({"versions": {"torch": "9"}}), "versions.torch ("),
            (run(gate=GATE_INFO | {"gate_threads_count": 2}), "differs in gate_threads_count (1, 2)"),
            (run(gate=GATE_INFO | {"anchor_sha256": "bb"}), "differs in anchor_sha256 (aa, bb)"),
            (run(footprint=FOOTPRINT_INFO | {"artifact_sha256": "b0" * 32}), "artifact_sha256 differs"),
            (run(accuracy=accuracy() | {"corpus_sha256": "c1"}), "differs in corpus_sha256 (c0, c1)"),
            (run(footprint=FOOTPRINT_INFO | {"file_bytes": float("nan")}), "file_bytes is nan, not a finite number"),
            (run(accuracy=accuracy(losses=np.full(LINES, np.nan, np.float32))), "values that are not finite"),
            (run(accuracy=accuracy() | {"lines_count": 0}), "has 400 lines, lines_count says 0"),
            (run(accuracy=accuracy() | {"line_edits": pack(EDITS[:0])}), "line_edits has 0 lines"),
            (run(accuracy=accuracy() | {"line_edits": "uint16:!"}), "an array that cannot be read"),
            (run(gate=GATE_INFO | {"gate_ratios": []}), "too few"),
            (run(gate=GATE_INFO | {"gate_ratios": [1.0, float("nan")]}), "not all are positive numbers"),
            (run(footprint={"variant": "torch-original", "corpus_sha256": "c0"}), "the run holds no measurement"),
        ],
        ids=[
            "missing test",
            "missing variant",
            "other CPU",
            "other thread setting",
            "other runtime version",
            "other thread count",
            "other anchor",
            "changed artifact",
            "changed corpus",
            "not a number",
            "loss not finite",
            "zero lines",
            "no edits",
            "damaged edits",
            "no pairs",
            "NaN pairs",
            "emptied benchmark",
        ],
    )
    def test_ends_red(self, compare, after, message):
        """A run that cannot be compared has its own exit status, and its message names the field."""
        verdicts, code = compare(after)

        assert code == INCOMPARABLE_STATUS
        assert any(message in str(verdict) for verdict in verdicts.values())

    @pytest.mark.parametrize("ratios", [[float("nan")], [], [0.0]])
    def test_a_ratio_that_is_not_a_number_is_not_compared(self, compare, ratios):
        """A ratio that is NaN is not compared: it is neither above nor below a limit."""
        verdicts, code = compare(run(latency=LATENCY_INFO | {"anchor_ratios": ratios}))

        assert verdicts["latency"].reason == f"anchor_ratios is {ratios}, not positive numbers"
        assert code == INCOMPARABLE_STATUS

    def test_a_renamed_test_is_missing_and_new(self, compare):
        """A renamed test does not inherit the baseline of its old name."""
        after, renamed = run(), "benchmarks/test_accuracy.py::test_reading[torch-original]"
        after["benchmarks"][0]["fullname"] = renamed
        verdicts, code = compare(after)

        assert {test: verdict.word for test, verdict in verdicts.items()} == {ACCURACY: "missing", renamed: "new"}
        assert code == INCOMPARABLE_STATUS

    def test_a_baseline_without_line_errors_has_no_cer_to_compare(self, compare):
        """A baseline without errors per line is reported as too old, not ignored."""
        old = accuracy()
        del old["line_edits"]
        verdicts, code = compare(run(), before=run(accuracy=old))

        assert (verdicts["cer"].reason, code) == (
            "the baseline is damaged or too old: no line_edits",
            INCOMPARABLE_STATUS,
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "cannot be read: No such file"),
            ("", "is empty"),
            (json.dumps(run())[:2000], "is truncated or not JSON"),
            ("[]", "is not a pytest-benchmark JSON"),
            ('{"benchmarks": []}', "holds no measurement of this suite"),
        ],
        ids=["missing", "empty file", "truncated", "another JSON", "no benchmarks"],
    )
    def test_an_unusable_baseline_is_named(self, tmp_path, text, message):
        """An unusable baseline is an error that names the file and its fault."""
        path = tmp_path / "old.json"
        if text is not None:
            path.write_text(text)

        with pytest.raises(RunError, match=message):
            read(path)


class TestSummary:
    def test_markdown_has_what_failed_on_top(self, compare):
        """The Markdown summary starts with the counts and the failures."""
        verdicts, _ = compare(run(footprint=FOOTPRINT_INFO | {"file_bytes": 7_000_000}))
        text = summary.markdown(list(verdicts.values()), "gate")

        assert text.splitlines()[:5] == ["## gate", "", "1 larger", "", "### Failed"]
        assert "| larger | bytes | test_footprint[torch-original] | 6,000,000 bytes | 7,000,000 bytes | +16.7" in text
