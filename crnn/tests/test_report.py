"""The table, its README copy, and the committed baseline behind both."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crnn.__main__ import main
from crnn.measure.records import Accuracy, Footprint, Identity, Latency
from crnn.registry import names
from crnn.report import table

ROOT = Path(__file__).parents[2]
BASELINES = sorted((ROOT / "fixtures" / "baselines").glob("*/*_baseline.json"))


ACCURACY = Accuracy(
    cer_fraction=0.0073,
    cer_low_fraction=0.006,
    cer_high_fraction=0.0085,
    ctc_loss_nats_per_line=0.12,
    exact_lines_fraction=0.9,
    edits_count=3,
    characters_count=400,
    unseen_labels_count=0,
    line_edits=np.zeros(2, np.uint16),
    line_characters=np.ones(2, np.uint16),
    line_losses_nats=np.zeros(2, np.float32),
    cer_difference_to_original_fraction=0.0004,
    cer_difference_to_original_low_fraction=-0.0002,
    cer_difference_to_original_high_fraction=0.0011,
)
FOOTPRINT = Footprint(
    parameters_stored_count=1492398,
    parameters_nonzero_count=1492398,
    multiply_adds_per_line_count=7,
    file_bytes=6_144_000,
    compressed_bytes=5_000_000,
    file_format=".pt",
    peak_memory_bytes=8,
    load_s=1.0,
    first_call_of_process_s=1.0,
)
SMALL_BATCH = Latency(
    batch_size_lines=1,
    latency_median_s=0.001,
    throughput_lines_per_s=1000.0,
    first_call_s=1.0,
    warmup_calls_count=3,
    timed_calls_count=12,
    calls_per_block_count=1,
    timed_answers_log_prob_difference_nats=0.0,
)
LARGE_BATCH = replace(
    SMALL_BATCH,
    batch_size_lines=32,
    latency_median_s=0.1,
    latency_median_low_s=0.09,
    latency_median_high_s=0.12,
    throughput_lines_per_s=320.0,
    speedup_ratio=1.5,
    speedup_low_ratio=1.4,
    speedup_high_ratio=1.6,
    speedup_verdict="faster",
)


def entries(variant, original, *records):
    """The entries that a variant's measurements leave in the JSON."""
    identity = Identity(
        variant=variant,
        technique="cut",
        runtime="Abacus 1.0",
        device="cpu",
        threads_count=2,
        original=original,
        artifact_sha256="a0",
        corpus="field",
        corpus_sha256="c0",
        lines_count=2000,
    ).to_json()
    measured = records or (SMALL_BATCH, LARGE_BATCH, ACCURACY, FOOTPRINT)
    return [{"name": f"test[{variant}]", "extra_info": identity | record.to_json()} for record in measured]


class TestTable:
    def test_row(self):
        """A variant has one row, with the latency at the largest batch size and intervals in brackets."""
        [row] = table.rows(entries("mine", "theirs"))

        assert row == (
            "mine",
            "cut",
            "Abacus 1.0",
            "1,492,398",
            "100.00 [90.00, 120.00]",
            "320",
            "1.50 [1.40, 1.60]",
            "0.1200",
            "0.73 [0.60, 0.85]",
            "+0.04 [-0.02, +0.11]",
            "6,000 KB .pt",
        )

    def test_zeros_are_counted(self):
        """If many parameters are zero, both counts are shown."""
        benchmarks = entries("mine", "theirs", replace(FOOTPRINT, parameters_nonzero_count=300_000))

        assert table.rows(benchmarks)[0][3] == "1,492,398 (300,000 not zero)"

    def test_original_is_the_reference(self):
        """An original is not compared with itself."""
        assert table.rows(entries("mine", "mine"))[0][6] == "1 (reference)"

    @pytest.mark.parametrize("verdict", ["slower", "no difference shown"])
    def test_no_gain_is_a_result(self, verdict):
        """A variant without a gain keeps its row, with that verdict."""
        benchmarks = entries("mine", "theirs", replace(LARGE_BATCH, speedup_verdict=verdict))

        assert table.rows(benchmarks)[0][6] == f"1.50 [1.40, 1.60] {verdict}"

    def test_registrys_order(self):
        """Rows are in the registry's order, unknown variants last."""
        shuffled = [entry for name in ("zzz", *reversed(names())) for entry in entries(name, name)]

        assert [row[0] for row in table.rows(shuffled)] == [*names(), "zzz"]

    def test_what_was_not_measured_is_a_dash(self):
        """A run of a single measurement gives a row with dashes for the others."""
        [row] = table.rows(entries("mine", "theirs", FOOTPRINT))

        assert row[4:10] == ("-",) * 6

    def test_terminal_and_markdown_hold_the_same(self):
        """The terminal and the Markdown table both show every cell."""
        benchmarks = entries("mine", "theirs")

        for cell in table.rows(benchmarks)[0]:
            assert cell in table.plain(benchmarks)
            assert cell in table.markdown(benchmarks)

    def test_a_damaged_measurement_is_named(self):
        """A measurement that lacks a key is an error that names the key, not a row with gaps."""
        [benchmark] = entries("mine", "theirs", FOOTPRINT)
        del benchmark["extra_info"]["file_bytes"]

        with pytest.raises(table.ReportError, match="no file_bytes"):
            table.rows([benchmark])

    def test_no_results(self):
        """A JSON of another suite is an error: it has nothing to report."""
        with pytest.raises(table.ReportError, match="nothing to report"):
            table.markdown([{"name": "other", "extra_info": {}}])


class TestCommand:
    def test_report(self, tmp_path, capsys):
        """``python -m crnn report`` prints the Markdown of a saved run."""
        file = tmp_path / "results.json"
        file.write_text(json.dumps({"benchmarks": entries("mine", "theirs")}))

        assert main(["report", str(file)]) == 0
        assert capsys.readouterr().out.splitlines()[0].startswith("| variant | optimization |")

    @pytest.mark.parametrize("content", [None, "{", "{}", "[]"])
    def test_bad_file(self, tmp_path, capsys, content):
        """A missing, truncated or empty file is one line on standard error that names it."""
        file = tmp_path / "results.json"
        if content is not None:
            file.write_text(content)

        assert main(["report", str(file)]) == 1
        assert capsys.readouterr().err.startswith(f"error: {file}: ")


class TestBaseline:
    def test_readme_shows_the_committed_baseline(self):
        """The README's table is the report of the newest committed baseline."""
        results = json.loads(BASELINES[-1].read_text("utf-8"))

        readme = (ROOT / "README.md").read_text("utf-8")
        shown = readme.split("<!-- results -->\n")[1].split("\n<!-- /results -->")[0]
        assert shown == table.markdown(results["benchmarks"])

    def test_originals_are_good_and_alike(self):
        """Both originals lie between 0.2 and 1.0 % CER, within 0.3 points of each other."""
        results = json.loads(BASELINES[-1].read_text("utf-8"))
        cers = [
            benchmark["extra_info"]["cer_fraction"]
            for benchmark in results["benchmarks"]
            if benchmark["name"] in ("test_accuracy[torch-original]", "test_accuracy[tf-original]")
        ]

        assert [0.002 <= cer <= 0.010 for cer in cers] == [True, True]
        assert abs(cers[0] - cers[1]) <= 0.003

    def test_baseline_names_no_host(self):
        """No committed baseline contains the machine's name."""
        assert BASELINES
        assert [path.name for path in BASELINES if "node" in json.loads(path.read_text("utf-8"))["machine_info"]] == []
