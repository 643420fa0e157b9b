"""The report as text for a terminal, Markdown, CSV and JSON, its caption, and ``python -m crnn report``."""

import csv
import io
import json
from dataclasses import replace

import pytest

from crnn.__main__ import main
from crnn.registry import VARIANTS, original_of
from crnn.report import table
from crnn.report.table import CSV, JSON, MARKDOWN, TERMINAL, Request
from crnn.tests.saved_rows import ACCURACY, FOOTPRINT, LARGE_BATCH, SMALL_BATCH, entries, times, two_rows

UNWATCHED = {"watched": False, "unavailable": "Plan 9 has no /proc/stat"}
# As wide as the usual full screen, and a little.
TERMINAL_WIDTH = 210


def whole_registry():
    """A run with every row of the registry, each slower than the first."""
    many_zeros = replace(FOOTPRINT, parameters_nonzero_count=302_139, file_format=".tflite")
    return [
        entry
        for variant in VARIANTS
        for entry in entries(
            variant.name,
            times(replace(SMALL_BATCH, latency_median_s=0.01234), 1 if variant is VARIANTS[0] else 2),
            times(replace(LARGE_BATCH, latency_median_s=1.2345), 1 if variant is VARIANTS[0] else 2),
            ACCURACY,
            many_zeros,
            original=original_of(variant).name,
            technique=variant.technique,
            runtime="PyTorch 2.13.0+cpu inductor",
        )
    ]


class TestTerminal:
    def test_short_cells(self):
        """A terminal shows half intervals, and a sign for no difference."""
        lines = table.render(two_rows(), Request(columns=("ms@1", "speedup@1")), TERMINAL).splitlines()
        [row] = [line.split() for line in lines if line.startswith("mine")]

        assert row == ["mine", "1.00", "±0.05", "1.00", "±0.02", "~"]

    def test_it_fits(self):
        """The default columns of every row of the registry fit in a wide terminal."""
        shown = table.render(whole_registry(), form=TERMINAL).split("\n\n")[0]

        assert max(map(len, shown.splitlines())) <= TERMINAL_WIDTH

    def test_a_narrow_terminal_gets_blocks(self):
        """In a narrow terminal the columns are split into blocks, each with the names."""
        *blocks, _ = table.render(whole_registry(), form=TERMINAL, width=80).split("\n\n")

        assert [max(map(len, block.splitlines())) <= 80 for block in blocks] == [True] * len(blocks)
        assert [block.count("litert-fp32 ") for block in blocks] == [1] * len(blocks)
        assert len(blocks) > 1

    def test_long_texts_are_folded(self):
        """Long texts go on in the next line."""
        benchmarks = entries("mine-int8", SMALL_BATCH, runtime="PyTorch 2.13.0+cpu inductor")
        lines = table.render(benchmarks, Request(columns=("runtime", "ms")), TERMINAL).splitlines()

        start = next(index for index, line in enumerate(lines) if line.startswith("mine-int8"))
        assert [line.strip() for line in lines[start + 1 : start + 3]] == ["inductor", "(up to AVX-512)"]


class TestMarkdown:
    def test_cells(self):
        """Markdown shows every cell, and the caption below."""
        headings, *rows = table.rows(two_rows())
        lines = table.render(two_rows(), form=MARKDOWN).splitlines()

        assert lines[0] == f"| {' | '.join(headings)} |"
        assert lines[2:4] == [f"| {' | '.join(row)} |" for row in rows]
        assert lines[5].startswith("Batches of 1 and 32 lines; 3 processes per row; device: cpu; threads: 2; ")

    def test_bars_are_escaped(self):
        """A vertical bar in a text does not end its cell."""
        benchmarks = entries("mine", technique="a|b")

        assert "| a\\|b |" in table.render(benchmarks)


class TestMachineReadable:
    def test_csv(self):
        """CSV has unrounded values, each interval end in a column of its own, and every batch size."""
        middle = replace(SMALL_BATCH, batch_size_lines=8)
        text = table.render([*two_rows(0.5), *entries("mine", middle)], form=CSV)
        _, row = csv.DictReader(io.StringIO(text))

        assert [row[f"latency_median{part}_s@1"] for part in ("", "_low", "_high")] == ["0.001", "0.00096", "0.00105"]
        assert (row["speedup_verdict@32"], row["latency_median_s@8"]) == ("faster", "0.001")
        assert (row["file_bytes"], row["latency_p95_s@1"]) == ("6144000", "")

    def test_json(self):
        """JSON has the settings, the caption, and an object per row with null for what was not measured."""
        content = json.loads(table.render(two_rows(0.5), form=JSON, machine=UNWATCHED))

        assert content["settings"]["batch_sizes_lines"] == [1, 32]
        assert content["settings"]["machine"] == UNWATCHED
        assert content["caption"].startswith("Batches of 1 and 32 lines")
        assert [row["speedup_verdict@1"] for row in content["rows"]] == ["reference", "faster"]
        assert (content["rows"][1]["file_bytes"], content["rows"][1]["latency_p95_s@1"]) == (6_144_000, None)

    def test_values_are_those_of_the_run(self):
        """Keys of the JSON are those of the saved run, with the batch size added."""
        [_, row] = json.loads(table.render(two_rows(), form=JSON))["rows"]
        saved = SMALL_BATCH.to_json()

        assert row["latency_median_s@1"] == saved["latency_median_s"]
        assert row["peak_memory_bytes@1"] == saved["peak_memory_bytes"]

    @pytest.mark.parametrize("form", [CSV, JSON])
    def test_columns_can_be_chosen(self, form):
        """Only the requested columns are written if some are requested."""
        shown = table.render(two_rows(), Request(columns=("macs",)), form)

        assert ("multiply_adds_per_line_count" in shown, "file_bytes" in shown) == (True, False)


class TestCaption:
    def test_settings(self):
        """The caption names batch sizes, processes, device, threads, instruction sets and corpus."""
        assert (
            table.render(two_rows())
            .splitlines()[-1]
            .startswith(
                "Batches of 1 and 32 lines; 3 processes per row; device: cpu; threads: 2; "
                "instruction sets: AVX2, AVX-512; corpus: field, 2000 test lines. In brackets: 95 % intervals, "
                "of times and speed-ups over processes and of accuracy by bootstrap over lines. "
                "Speed-up: over torch-original, from ratios to the same anchor."
            )
        )

    def test_only_shown_columns_are_explained(self):
        """The caption says nothing of columns that are not shown."""
        caption = table.render(two_rows(), Request(columns=("macs",))).splitlines()[-1]

        assert caption.endswith("corpus: field, 2000 test lines.")

    def test_disturbances(self):
        """Disturbed pairs are counted, those that were kept with what disturbed them."""
        noisy = replace(
            SMALL_BATCH, remeasured_pairs_count=4, disturbed_pairs_count=2, disturbances=["steal", "load", "steal"]
        )

        assert "Disturbed pairs of blocks: 4 measured again, 2 kept (load, steal)." in table.render(entries("x", noisy))

    @pytest.mark.parametrize(
        ("machine", "says"),
        [
            (UNWATCHED, "Not watched: Plan 9 has no /proc/stat."),
            ({"watched": True, "unavailable": None}, "Nothing disturbed the timed blocks."),
            (
                {"watched": True, "disturbed_before": "steal 9 %"},
                "Before the run: steal 9 %. Nothing disturbed the timed blocks.",
            ),
        ],
    )
    def test_watching(self, machine, says):
        """The caption says whether the machine was watched, and if not, why."""
        assert table.render(two_rows(), machine=machine).endswith(says)

    def test_without_latency(self):
        """A run without latency says so."""
        assert "Latency not measured; device: cpu" in table.render(entries("mine", FOOTPRINT))


class TestCommand:
    @pytest.fixture
    def file(self, tmp_path):
        """A saved run."""
        path = tmp_path / "results.json"
        path.write_text(json.dumps({"benchmarks": two_rows(), "crnn": {"machine": UNWATCHED}}))
        return path

    def test_report(self, file, capsys):
        """``python -m crnn report`` prints the Markdown of a saved run, with the state of its machine."""
        assert main(["report", str(file)]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("| variant | optimization |")
        assert "Not watched: Plan 9" in printed

    def test_options(self, file, capsys):
        """Reference, batch size, order, columns and format can be chosen."""
        options = ["--reference=mine", "--batch=32", "--sort=variant", "--columns=speedup,macs", "--format=csv"]

        assert main(["report", str(file), *options]) == 0
        assert capsys.readouterr().out.splitlines()[1].startswith("mine,1.0,,,reference,")

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("--reference=yours", "no row 'yours' to refer to"),
            ("--batch=64", "batch size 64 was not measured"),
            ("--sort=beauty", "no column 'beauty'"),
            ("--columns=beauty", "no column 'beauty'"),
        ],
    )
    def test_mistakes(self, file, capsys, option, message):
        """A request that the file cannot answer is one line on standard error that names the file."""
        assert main(["report", str(file), option]) == 1
        assert capsys.readouterr().err.startswith(f"error: {file}: {message}")

    @pytest.mark.parametrize("content", [None, b"{", b"{}", b"[]", b"\xff"])
    def test_bad_file(self, tmp_path, capsys, content):
        """A missing, truncated or empty file is one line on standard error that names it."""
        file = tmp_path / "results.json"
        if content is not None:
            file.write_bytes(content)

        assert main(["report", str(file)]) == 1
        assert capsys.readouterr().err.startswith(f"error: {file}: ")
