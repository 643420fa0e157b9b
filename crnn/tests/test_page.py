"""The page of a report: its content, its size, bad input, history; a browser opens it in ``test_page_in_browser``."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from crnn.__main__ import main
from crnn.measure.records import Operators
from crnn.report import advice
from crnn.report.page import charts, history, page
from crnn.report.page.content import shown
from crnn.report.page.joined import side_by_side
from crnn.report.recommendation import recommend
from crnn.report.results import ReportError
from crnn.tests.saved_rows import ACCURACY, FOOTPRINT, SMALL_BATCH, entries, two_rows
from crnn.tests.test_recommendation import FIVE

RUN = {"benchmarks": [entry for row in FIVE for entry in row], "datetime": "2026-11-01T10:00:00"}


def other(**changes):
    """A run like ``RUN``, with some keys changed."""
    return RUN | changes


def places(html):
    """The data that the page's script reads."""
    [text] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(text.replace("<\\/", "</"))


@pytest.fixture(scope="module")
def html():
    """The page of five rows."""
    return page.html([("run", RUN)])


class TestPage:
    def test_begins_with_the_answer(self, html):
        """The answer of the recommendation stands above everything else, in its words."""
        [run] = shown([("run", RUN)])
        [answer] = run.answers

        assert answer == advice.headline(recommend(run.results, run.wish(1)))
        assert html.index("With 1 line per call") < html.index("<main>")

    def test_is_one_file(self, html):
        """Nothing is loaded: no address in an attribute but places within the page."""
        loaded = re.findall(r'(?:src|href)="([^"]*)"', re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL))

        assert len(loaded) > 5
        assert [one for one in loaded if not one.startswith(("#", "data:"))] == []

    def test_each_row_has_its_part(self, html):
        """Each row of the table links to a part with its figures."""
        names = re.findall(r'<a href="#row-0-([^"]+)"', html)

        assert names == ["bad", "original", "rough", "same", "small"]
        assert [name for name in names if f'id="row-0-{name}"' not in html] == []

    def test_hostile_names(self):
        """A name that looks like markup, or like the end of a script, stays text."""
        rows = entries("</script><b>x", SMALL_BATCH, ACCURACY, FOOTPRINT, technique="<i>&")
        made = page.html([("<run>", {"benchmarks": rows})])

        assert "<b>x" not in made.replace("<\\/script><b>x", "")
        assert "<i>&" not in made.partition('<script type="application/json"')[0]

    def test_operators(self):
        """Where a profiler told the operators, a row lists them with their share of the time."""
        found = Operators(
            operators_s=0.01,
            operators_batch_size_lines=32,
            matrix_operators="",
            float_matrix_operators_count=0,
            operators=[{"kind": "Conv", "precision": "int8", "count": 5, "seconds": 0.0075}],
        )
        [run] = shown([("run", {"benchmarks": entries("one", SMALL_BATCH, ACCURACY, FOOTPRINT, found)})])

        assert run.details("one")["operators"] == [
            {"kind": "Conv", "precision": "int8", "count": 5, "seconds": 0.0075, "ms": 7.5, "share": 75.0}
        ]

    def test_worst_lines_and_confusions(self):
        """A row shows its worst lines, aligned, and what it takes for what, beside its original's count."""
        worst = [{"line": 3, "label": "З0", "text": "30", "edits": 1}]
        first = replace(ACCURACY, confusions=[["З", "3", 2]])
        other = replace(ACCURACY, worst_lines=worst, confusions=[["З", "3", 5], ["0", "", 1]])
        rows = [*entries("torch-original", SMALL_BATCH, first), *entries("mine", SMALL_BATCH, other)]
        [run] = shown([("run", {"benchmarks": rows})])

        details = run.details("mine")
        made = page.html([("run", {"benchmarks": rows})])

        assert details["worst"] == [{**worst[0], "pairs": [("З", "3"), ("0", "0")], "picture": None}]
        assert [list(one.values()) for one in details["confusions"]] == [["З", "3", 5, 2], ["0", "nothing", 1, 0]]
        assert '<span class="wrong"><b>З</b><i>3</i></span><span><b>0</b><i>0</i></span>' in made

    def test_without_latency(self):
        """A run of accuracy alone has the table, and says that no row can be recommended."""
        made = page.html([("run", {"benchmarks": entries("one", ACCURACY)})])

        assert "No latency was measured, so no row can be recommended." in made
        assert places(made)["plots"] == {}

    def test_200_rows(self):
        """Two hundred rows fit into a page of 3 MB."""
        rows = [entry for at in range(200) for entry in entries(f"row-{at}", SMALL_BATCH, ACCURACY, FOOTPRINT)]

        assert len(page.html([("run", {"benchmarks": rows})])) < 3e6

    def test_several_runs(self):
        """Two runs stand below each other, each with its own answer and its own choices."""
        made = page.html([("one", RUN), ("two", RUN)])

        assert re.findall(r'<section class="run" data-run="(\d)"', made) == ["0", "1"]
        assert len(places(made)["choices"]) == 2

    def test_speedups_are_of_each_run(self):
        """Side by side, a row has the speed-up of each run, at the smallest and the largest batch size."""
        runs = [(str(factor), {"benchmarks": two_rows(factor)}) for factor in (0.5, 2.0)]

        headings, rows = side_by_side(shown(runs))
        assert headings[:2] == ("speed-up, batch 1", "speed-up, batch 32")
        assert [cell.split()[0] for cell in dict(rows)["mine"][:4]] == ["2.00", "0.50", "2.00", "0.50"]

    def test_runs_side_by_side(self):
        """Rows of several runs are joined by name, with a dash for a row that a run lacks."""
        fewer = other(benchmarks=[entry for row in FIVE[:2] for entry in row])

        headings, rows = side_by_side(shown([("one", RUN), ("two", fewer)]))
        cer = {name: cells[2 * headings.index("CER %") :][:2] for name, cells in rows}
        assert (len(cer), {name for name, cells in cer.items() if "-" not in cells}) == (5, {"original", "small"})
        assert cer["small"][0] == cer["small"][1]
        assert "<h2>Side by side</h2>" in page.html([("one", RUN), ("two", fewer)])
        assert "<h2>Side by side</h2>" not in page.html([("one", RUN)])


class TestPoints:
    def test_dominated_rows(self):
        """A row is dominated if another is no slower and reads no worse, and differs."""
        [run] = shown([("run", RUN)])

        assert {point["row"]: point["dominated"] for point in run.points} == {
            "original": False,
            "small": False,
            "same": False,
            "rough": False,
            "bad": True,
        }

    def test_a_line_through_the_sizes(self):
        """The fitted line gives back times that are a line, and n½."""
        points = [{"row": "one", "batch": size, "ms": 4 + 2 * size} for size in (1, 32, 128)]

        found = charts.fitted(points, "one")

        assert [round(one["fit"], 6) for one in found] == [6.0, 2.125, 2.03125]
        assert {one["half"] for one in found} == {2.0}

    def test_one_size_has_no_line(self):
        """One batch size gives no line."""
        assert charts.fitted([{"row": "one", "batch": 1, "ms": 6.0}], "one") == []


class TestHistory:
    def run(self, date, ratio, word="same"):
        """A run with process pairs of one row."""
        info = {"variant": "one", "gate_ratios": [ratio] * 3, "gate_verdicts": {"relative_latency, baseline": word}}
        return {"benchmarks": [*two_rows(), {"extra_info": info}], "datetime": date}

    def test_runs_in_their_order(self):
        """Runs of one machine are shown from the oldest, with the gate's verdicts."""
        runs = [("new", self.run("2026-11-02", 1.2, "slower")), ("old", self.run("2026-11-01", 1.0))]

        found = history.values([type("Run", (), {"label": label, "content": run})() for label, run in runs])

        assert [(one["run"], round(one["ratio"], 6), one["verdict"]) for one in found] == [
            ("old", 1.0, "same"),
            ("new", 1.2, "slower"),
        ]

    def test_a_level_that_changes(self):
        """A step of 10 % in noise of 1 % is one change point, where it is."""
        draws = np.random.default_rng(1)
        ratios = np.exp(np.r_[np.zeros(8), np.full(8, 0.1)] + draws.normal(0, 0.01, 16))

        assert history.change_points(ratios) == [8]

    def test_noise_does_not_change(self):
        """Of 50 series without a change, at most 2 have a change point."""
        draws = np.random.default_rng(2)
        found = [history.change_points(np.exp(draws.normal(0, 0.01, 16))) for _ in range(50)]

        assert sum(map(bool, found)) <= 2

    def test_too_few_runs(self):
        """Five runs have no change points, one run no history."""
        assert history.change_points([1.0, 1.0, 2.0, 2.0, 2.0]) == []
        assert history.values([type("Run", (), {"label": "one", "content": self.run("2026", 1.0)})()]) == []


class TestBadInput:
    def test_different_corpora(self):
        """Runs of different corpora are refused."""
        foreign = {"benchmarks": entries("one", SMALL_BATCH, ACCURACY, FOOTPRINT, corpus_sha256="c1")}

        with pytest.raises(ReportError, match="the runs read different corpora"):
            page.html([("one", RUN), ("two", foreign)])

    def test_another_tool(self, tmp_path, capsys):
        """A JSON of another tool is refused by name, and no page is written."""
        path = tmp_path / "other.json"
        path.write_text(json.dumps({"benchmarks": [{"name": "x", "extra_info": {}}]}))

        assert main(["report", str(path), "--html", str(tmp_path / "page.html")]) == 1
        assert capsys.readouterr().err == "error: no results of this suite: nothing to report\n"
        assert not (tmp_path / "page.html").exists()

    def test_several_runs_in_a_terminal(self, tmp_path, capsys):
        """Several runs without a page are refused with what to add."""
        path = tmp_path / "run.json"
        path.write_text(json.dumps(RUN))

        assert main(["report", str(path), str(path)]) == 1
        assert "several runs are shown side by side on a page: add --html FILE" in capsys.readouterr().err

    def test_runs_of_the_same_name(self, tmp_path):
        """Files of the same name are named with their folders."""
        for folder in ("here", "there"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "run.json").write_text(json.dumps(RUN))

        made = tmp_path / "page.html"
        main(["report", *(str(tmp_path / folder / "run.json") for folder in ("here", "there")), "--html", str(made)])
        assert "<title>CRNN benchmarks: here/run, there/run</title>" in made.read_text("utf-8")

    def test_one_row(self):
        """One row is a page."""
        assert "Ship" in page.html([("run", {"benchmarks": entries("one", SMALL_BATCH, ACCURACY, FOOTPRINT)})])

    def test_a_quick_run_says_so(self):
        """The facts of a --quick run say that it is one."""
        [run] = shown([("run", other(crnn={"quick": True}))])

        assert "A --quick run" in run.facts["Corpus"]


class TestFigure:
    @pytest.mark.parametrize("suffix", charts.FIGURES)
    def test_a_figure_for_a_document(self, tmp_path, suffix):
        """``--figure`` writes the plot in each format."""
        run, figure = tmp_path / "run.json", tmp_path / f"figure{suffix}"
        run.write_text(json.dumps(RUN))

        assert main(["report", str(run), "--figure", str(figure)]) == 0
        begins = {".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF"}[suffix]
        assert figure.read_bytes().startswith(begins)

    def test_another_format(self, tmp_path, capsys):
        """Another suffix is refused."""
        run = tmp_path / "run.json"
        run.write_text(json.dumps(RUN))

        assert main(["report", str(run), "--figure", "x.gif"]) == 1
        assert "--figure x.gif: expected a name that ends in .svg, .png, .pdf" in capsys.readouterr().err

    def test_a_row_without_cer_is_left_out(self):
        """A row that was not evaluated has no place in the plot of errors."""
        latency = replace(SMALL_BATCH, latency_p95_s=None)
        [run] = shown([("run", {"benchmarks": [*FIVE[0], *entries("timed", latency)]})])

        spec = charts.pareto(run.points).to_dict()
        assert [value["row"] for value in spec["data"]["values"]] == ["original"]
