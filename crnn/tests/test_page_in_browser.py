"""The page of the committed baseline, opened and used in Chromium.

Screenshots in three widths go to ``$CRNN_SCREENSHOTS``, if it is set. Without a browser the tests are skipped, or with
``$CI`` they fail.
"""

import csv
import os
import shutil
from pathlib import Path

import pytest

from crnn.measure.packing import saved
from crnn.report.page import page as pages
from crnn.report.page.content import shown
from crnn.report.recommendation import Wish, recommend
from crnn.report.results import ReportError

BASELINES = Path(__file__).parents[2] / "fixtures" / "baselines"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# As root there is no sandbox; the others keep the browser from asking its maker for anything.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-quic", "--no-first-run"]  # fmt: skip
WIDTHS = (390, 820, 1400)


@pytest.fixture(scope="module")
def run():
    """The committed baseline."""
    return saved(next(BASELINES.glob("*/0001_baseline.json")))


@pytest.fixture(scope="module")
def file(run, tmp_path_factory):
    """Its page."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(pages.html([("baseline", run)]), "utf-8")
    return path


@pytest.fixture(scope="module")
def browser():
    """A headless browser."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        message = f"no browser: install one of {', '.join(BROWSERS)}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        started = tool.chromium.launch(executable_path=found, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opened(browser, file):
    """Open the page in some width; returns it with what went wrong and what was requested."""
    contexts = []

    def opened(width=1400, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        errors, requests = [], []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("#pareto-0[data-drawn]")
        page.wait_for_selector("#curves-0[data-drawn]")
        return page, errors, requests

    yield opened
    for context in contexts:
        context.close()


def names(page):
    """The rows that the table shows, in order."""
    return page.locator("#table-0 tbody tr:visible th").all_inner_texts()


class TestOpening:
    def test_no_error_and_no_request(self, opened, file):
        """It opens without an error, and asks for nothing but itself."""
        _, errors, requests = opened()

        assert errors == []
        assert {url for url in requests if not url.startswith(("data:", "blob:"))} == {file.as_uri()}

    def test_every_row_has_a_mark(self, opened, run):
        """The plot of time and errors has a mark per row at the chosen batch size."""
        page, _, _ = opened()
        [content] = shown([("baseline", run)])

        marks = page.locator("#pareto-0 svg .mark-symbol.role-mark path")
        assert marks.count() == len([point for point in content.points if point["batch"] == 1])

    def test_small_enough(self, file):
        """The file has less than 3 MB."""
        assert file.stat().st_size < 3e6

    @pytest.mark.parametrize("width", WIDTHS)
    def test_nothing_is_wider_than_the_screen(self, opened, width):
        """On a phone, a tablet and a desk the page does not scroll sideways."""
        page, _, _ = opened(width)
        if folder := os.environ.get("CRNN_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"report-{width}.png", full_page=True)

        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def test_dark(self, opened):
        """In a dark scheme the page is dark, and the plots' labels are as light as its text."""
        page, _, _ = opened(color_scheme="dark")
        if folder := os.environ.get("CRNN_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / "report-dark.png")

        colours = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
            " getComputedStyle(document.querySelector('#pareto-0 svg .role-axis-label text')).fill]"
        )
        assert sum(map(int, colours[0][4:-1].split(","))) < 200
        assert colours[1] == colours[2]

    def test_print(self, opened):
        """On paper there are no controls."""
        page, _, _ = opened()
        page.emulate_media(media="print")

        assert page.locator(".tools").is_visible() is False
        assert page.locator("#table-0").is_visible() is True


class TestTable:
    def test_sorting(self, opened):
        """A click on a heading sorts by it, another one the other way; what was not measured comes last."""
        page, _, _ = opened()
        heading = page.locator("#table-0 thead th", has_text="ms per batch, batch 1").first
        column = heading.evaluate("cell => cell.cellIndex")

        def values():
            cells = page.locator(f"#table-0 tbody tr > :nth-child({column + 1})")
            return [float(one) for one in cells.evaluate_all("cells => cells.map(cell => cell.dataset.value)") if one]

        heading.locator("button").click()
        ascending = values()
        heading.locator("button").click()

        assert (ascending, values()) == (sorted(ascending), sorted(ascending, reverse=True))
        assert heading.get_attribute("aria-sort") == "descending"

    def test_filtering(self, opened):
        """Typing a word keeps the rows that have it, and says how many."""
        page, _, _ = opened()
        everything = names(page)
        page.locator(".filter").fill("openvino int8")

        kept = names(page)
        assert 0 < len(kept) < len(everything)
        assert page.locator(".count").inner_text() == f"{len(kept)} of {len(everything)} rows"

    def test_columns(self, opened):
        """A column can be shown and hidden."""
        page, _, _ = opened()
        heading = page.locator("#table-0 thead th", has_text="exact lines %")
        assert heading.is_visible() is False
        page.locator(".chooser summary").click()
        page.get_by_label("exact lines %", exact=True).check()

        assert heading.is_visible() is True

    def test_download(self, opened, tmp_path):
        """The shown rows and columns are saved as CSV."""
        page, _, _ = opened()
        page.locator(".filter").fill("ncnn")
        with page.expect_download() as download:
            page.locator("button.csv").click()
        download.value.save_as(tmp_path / "rows.csv")

        rows = list(csv.DictReader((tmp_path / "rows.csv").read_text("utf-8").splitlines()))
        assert [row["variant"] for row in rows] == names(page)
        assert float(rows[0]["ms per batch, batch 1"]) > 0

    def test_a_link_opens_the_row(self, opened):
        """A row's name leads to its part, which opens."""
        page, _, _ = opened()
        page.locator("#table-0 tbody a", has_text="ov-fp32").first.click()

        part = page.locator("details#row-0-ov-fp32")
        assert part.get_attribute("open") is not None
        assert "Operators of one batch" in part.inner_text()


class TestChoosing:
    def test_another_batch_size(self, opened):
        """Another batch size moves the marks."""
        page, _, _ = opened()
        mark = "#pareto-0 svg .mark-symbol.role-mark path"
        before = page.locator(mark).first.get_attribute("transform")
        page.locator("#pareto-0 .vega-bindings select").first.select_option("128")

        moved = "([mark, before]) => document.querySelector(mark).getAttribute('transform') != before"
        page.wait_for_function(moved, arg=[mark, before])

    @pytest.mark.parametrize("minimize", ["latency", "p95", "cost"])
    @pytest.mark.parametrize("size", [1, 32, 128])
    def test_the_form_gives_the_recommendation(self, opened, run, size, minimize):
        """At each place of a slider the page names the row that the command recommends."""
        page, _, _ = opened()
        [content] = shown([("baseline", run)])
        rows = content.choices[str(size)]["rows"]
        losses = sorted({row["cer_loss"] for row in rows.values() if row["cer_loss"] is not None})
        page.locator("form.wish select[name=batch]").select_option(str(size))
        page.locator("form.wish select[name=minimize]").select_option(minimize)
        slider = page.locator("form.wish input[name=cer_loss]")
        for other in ("memory", "bytes"):
            move(page.locator(f"form.wish input[name={other}]"), 10_000)

        found, expected = [], []
        for place in (len(losses) // 3, len(losses) // 2, len(losses) - 1):
            move(slider, place)
            found.append(page.locator(".choice").get_attribute("data-winner"))
            expected.append(winner(content.results, Wish(size, {"cer_loss": losses[place]}, minimize)))
        assert found == expected

    def test_by_keyboard(self, opened, run):
        """A slider moves with the keys, and the answer follows."""
        page, _, _ = opened()
        [content] = shown([("baseline", run)])
        least = min(row["bytes"] for row in content.choices["1"]["rows"].values())
        move(page.locator("form.wish input[name=cer_loss]"), 10_000)
        page.locator("form.wish input[name=bytes]").focus()
        page.keyboard.press("Home")

        winner = page.locator(".choice").get_attribute("data-winner")
        assert winner == recommend(content.results, Wish(1, {"bytes": least})).winner.name
        assert page.locator("output[name=bytes-shown]").inner_text() == f"{least / 1e6:.3g} MB"


def winner(results, wish):
    """The row that the command recommends; nothing if none keeps the limits, or has what is minimized."""
    try:
        return recommend(results, wish).winner.name
    except ReportError:
        return ""


def move(slider, place):
    """Set a slider, as dragging it does."""
    slider.evaluate(
        "(input, place) => { input.value = place; input.dispatchEvent(new Event('input', {bubbles: true})); }", place
    )
