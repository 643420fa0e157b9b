"""The table, and the committed baseline behind the README's copy of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from crnn.measure.packing import saved
from crnn.registry import names
from crnn.report import table
from crnn.report.table import ReportError, Request
from crnn.tests.saved_rows import FOOTPRINT, LARGE_BATCH, SMALL_BATCH, entries, times, two_rows

ROOT = Path(__file__).parents[2]
BASELINES = sorted((ROOT / "fixtures" / "baselines").glob("*/*_baseline.json"))


def cells(benchmarks, *columns, **request):
    """The cells of the given columns, row by row, without the headings."""
    rows = table.rows(benchmarks, Request(columns=columns, **request))
    return [row[1:] for row in rows[1:]]


def named(benchmarks, **request):
    """The names of the rows, in order."""
    return [row[0] for row in table.rows(benchmarks, Request(**request))[1:]]


class TestTable:
    def test_row(self):
        """A row shows times and speed-ups at the smallest and largest batch size, then what a choice depends on."""
        headings, _, row = table.rows(two_rows(0.5))

        assert dict(zip(headings, row, strict=True)) == {
            "variant": "mine",
            "optimization": "cut",
            "runtime": "Abacus 1.0",
            "ms per batch, batch 1": "1.00 [0.96, 1.05]",
            "speed-up, batch 1": "2.00 [1.96, 2.04]",
            "ms per batch, batch 32": "100 [90, 120]",
            "speed-up, batch 32": "2.00 [1.96, 2.04]",
            "CER %": "0.73 [0.60, 0.85]",
            "CER - original's": "+0.04 [-0.02, +0.11]",
            "peak memory MB": "812",
            "load s": "1.25",
            "first call s, batch 1": "0.50",
            "deflated weights kB": "5,500",
            "as shipped kB": "6,144 .pt",
            "parameters (nonzero)": "1,492,398",
            "CTC loss": "0.1200",
        }

    def test_zeros_are_counted(self):
        """If many parameters are zero, both counts are shown."""
        benchmarks = entries("mine", replace(FOOTPRINT, parameters_nonzero_count=300_000))

        assert cells(benchmarks, "parameters") == [("1,492,398 (300,000)",)]

    @pytest.mark.parametrize(
        ("name", "runtime"),
        [
            ("torch-int8-dynamic", "Abacus 1.0 (up to AVX-512)"),
            ("torch-bf16", "Abacus 1.0 (up to AVX-512)"),
            ("litert-fp16", "Abacus 1.0"),
        ],
    )
    def test_instruction_sets_are_beside_int8_and_bf16(self, name, runtime):
        """Rows whose speed depends on the instruction set name the widest beside the runtime."""
        assert cells(entries(name), "runtime") == [(runtime,)]

    @pytest.mark.parametrize(
        ("factor", "shown"),
        [
            (0.5, "2.00 [1.96, 2.04]"),
            (1.0, "1.00 [0.98, 1.02] no difference shown"),
            (2.0, "0.50 [0.49, 0.51] slower"),
        ],
    )
    def test_no_gain_is_a_result(self, factor, shown):
        """A row that is not faster keeps its speed-up, with that verdict."""
        assert cells(two_rows(factor), "speedup@1")[1] == (shown,)

    def test_registrys_order(self):
        """Rows are in the registry's order, unknown variants last."""
        shuffled = [entry for name in ("zzz", *reversed(names())) for entry in entries(name)]

        assert named(shuffled) == [*names(), "zzz"]

    def test_what_was_not_measured_is_a_dash(self):
        """A row with one measurement has dashes for the others."""
        benchmarks = [*entries("torch-original"), *entries("mine", FOOTPRINT)]

        assert cells(benchmarks, "ms@1", "speedup@1", "cer", "memory")[1] == ("-", "-", "-", "812")

    @pytest.mark.parametrize("key", ["file_bytes", "deflated_weights_bytes"])
    def test_an_old_measurement_is_named(self, key):
        """A measurement that lacks a key is an error that names test and key, not a row with gaps."""
        [benchmark] = entries("mine", FOOTPRINT)
        del benchmark["extra_info"][key]

        with pytest.raises(ReportError, match=rf"^test.py::test\[mine\]: no {key}: .*saved by an older version"):
            table.rows([benchmark])

    @pytest.mark.parametrize("benchmarks", [[], [{"name": "other", "extra_info": {}}], [{"name": "bare"}]])
    def test_no_results(self, benchmarks):
        """A JSON of another suite is an error: it has nothing to report."""
        with pytest.raises(ReportError, match="nothing to report"):
            table.render(benchmarks)


class TestSpeedup:
    def test_one_process_has_no_verdict(self):
        """With one process per row there is no interval and no verdict, and the caption says so."""
        one = replace(SMALL_BATCH, anchor_ratios=[1.0], latency_median_low_s=None, latency_median_high_s=None)
        benchmarks = [*entries("torch-original", one), *entries("mine", times(one, 2))]

        assert cells(benchmarks, "ms@1", "speedup@1")[1] == ("1.00", "0.50")
        assert "1 process per row" in table.render(benchmarks)
        assert "One process per row: times and speed-ups have no interval" in table.render(benchmarks)

    def test_other_rows_moderate_the_interval(self):
        """Processes that agree by chance give a wider interval if those of other rows do not."""
        loud = replace(SMALL_BATCH, anchor_ratios=[1.0, 1.3, 0.7])
        alone = [*entries("torch-original", SMALL_BATCH), *entries("mine", SMALL_BATCH)]

        assert cells(alone, "speedup@1")[1] == ("1.00 [0.98, 1.02] no difference shown",)
        assert cells([*alone, *entries("other", loud)], "speedup@1")[1] == ("1.00 [0.73, 1.38] no difference shown",)

    @pytest.mark.parametrize(
        ("reference", "shown"),
        [
            (None, ["1 (reference)", "0.50", "0.25"]),
            ("tf-original", ["2.00", "1 (reference)", "0.50"]),
            ("original", ["1 (reference)", "1 (reference)", "0.50"]),
        ],
    )
    def test_any_row_can_be_the_reference(self, reference, shown):
        """Speed-ups refer to torch-original, to a chosen row, or to each row's own original."""
        benchmarks = [
            *entries("torch-original", SMALL_BATCH),
            *entries("tf-original", times(SMALL_BATCH, 2), original="tf-original"),
            *entries("mine", times(SMALL_BATCH, 4), original="tf-original"),
        ]
        found = [row[0] for row in cells(benchmarks, "speedup", reference=reference)]

        assert [text if "reference" in text else text.split()[0] for text in found] == shown

    def test_an_unknown_reference_is_an_error(self):
        """A reference that the file does not hold is an error that lists what it holds."""
        with pytest.raises(ReportError, match="no row 'yours' to refer to; there are: original, torch-original, mine"):
            table.rows(two_rows(), Request(reference="yours"))

    def test_a_run_without_the_default_reference_has_no_speedups(self):
        """Without torch-original the speed-ups are dashes, and the caption says how to get them."""
        benchmarks = entries("mine")

        assert cells(benchmarks, "speedup@1") == [("-",)]
        assert "No speed-ups: torch-original was not measured; " in table.render(benchmarks)

    def test_a_session_may_lack_its_reference(self):
        """A reference that failed costs the speed-ups, not the table, where it is not required."""
        request = Request(reference="failed", reference_required=False)

        assert "No speed-ups: failed was not measured; " in table.render(two_rows(), request)

    def test_a_row_without_its_original_has_no_speedup(self):
        """Rows whose own original was not measured are named in the caption."""
        benchmarks = entries("mine")

        assert cells(benchmarks, "speedup@1", reference="original") == [("-",)]
        assert "Their original was not measured, so without a speed-up: mine." in table.render(
            benchmarks, Request(reference="original")
        )

    def test_ratios_to_unlike_anchors_do_not_compare(self):
        """A row that was paired with another anchor has no speed-up, and the caption names it."""
        other = replace(SMALL_BATCH, latency_anchor_sha256="bb")
        benchmarks = [*entries("torch-original", SMALL_BATCH), *entries("mine", other)]

        assert cells(benchmarks, "speedup@1")[1] == ("-",)
        assert "Not paired with the reference's anchor, so without a speed-up: mine." in table.render(benchmarks)


class TestRequest:
    @pytest.mark.parametrize(
        ("batch", "shown"), [(None, ["1", "32"]), ("all", ["1", "8", "32"]), (8, ["8"])], ids=["default", "all", "one"]
    )
    def test_batch_sizes(self, batch, shown):
        """The smallest and largest batch size are shown, or all of them, or one."""
        benchmarks = entries("mine", SMALL_BATCH, replace(SMALL_BATCH, batch_size_lines=8), LARGE_BATCH)
        headings = table.rows(benchmarks, Request(batch=batch, columns=("ms",)))[0]

        assert [heading.removeprefix("ms per batch, batch ") for heading in headings[1:]] == shown

    def test_a_batch_size_that_was_not_measured(self):
        """Another batch size is an error that lists the measured ones."""
        with pytest.raises(ReportError, match="batch size 64 was not measured; measured: 1, 32"):
            table.rows(two_rows(), Request(batch=64))

    def test_the_first_call_is_that_of_the_process(self):
        """The first call is shown at the smallest measured size, whatever sizes are shown."""
        assert "first call s, batch 1" in table.rows(two_rows(), Request(batch=32))[0]

    @pytest.mark.parametrize(
        ("sort", "order"),
        [
            ("ms@1", ["quick", "torch-original", "unmeasured"]),
            ("speedup@1", ["quick", "torch-original", "unmeasured"]),
            ("lines/s@1", ["torch-original", "quick", "unmeasured"]),
            ("macs", ["unmeasured", "torch-original", "quick"]),
            (None, ["torch-original", "quick", "unmeasured"]),
        ],
    )
    def test_sort(self, sort, order):
        """Times rise, speed-ups and throughput fall; rows without the value are last."""
        fast = replace(times(SMALL_BATCH, 0.5), latency_median_s=0.0005, throughput_lines_per_s=10.0)
        small = replace(FOOTPRINT, multiply_adds_per_line_count=1)
        benchmarks = [*entries("unmeasured", small), *entries("quick", fast, FOOTPRINT), *entries("torch-original")]

        assert named(benchmarks, sort=sort) == order

    def test_sort_needs_one_column(self):
        """A key that stands for several columns cannot order the rows."""
        with pytest.raises(ReportError, match="sort by one of ms@1, ms@32"):
            table.rows(two_rows(), Request(sort="ms"))

    def test_columns(self):
        """Columns are those asked for, beside the name; a key without batch size stands for every shown one."""
        headings = table.rows(two_rows(), Request(columns=("macs", "lines/s", "memory@1", "variant")))[0]

        assert headings == (
            "variant",
            "MACs per line",
            "lines/s, batch 1",
            "lines/s, batch 32",
            "peak memory MB, batch 1",
        )

    @pytest.mark.parametrize(
        "request_", [Request(columns=("beauty",)), Request(sort="beauty")], ids=["columns", "sort"]
    )
    def test_an_unknown_column_is_an_error(self, request_):
        """An unknown key is an error that lists the keys."""
        with pytest.raises(ReportError, match=r"no column 'beauty'; there are: variant, .*ms@N, .*, with N of 1, 32"):
            table.rows(two_rows(), request_)


class TestBaseline:
    def test_originals_are_good_and_alike(self):
        """Both originals lie between 0.2 and 1.0 % CER, within 0.3 points of each other."""
        results = saved(BASELINES[-1])
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
