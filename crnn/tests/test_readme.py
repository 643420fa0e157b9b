"""The README: its table, answers and figure are those of the committed baseline; it is short."""

import re
import shlex

from crnn.__main__ import main
from crnn.measure.packing import saved
from crnn.report import table
from crnn.report.page import charts
from crnn.report.page.content import shown
from crnn.tests.test_report import BASELINES, ROOT


def places(svg):
    """Where a figure has its marks; the text around it depends on the machine's fonts."""
    [group] = re.findall(r'<g class="mark-symbol role-mark layer_2_marks"(.*?)</g>', svg, re.DOTALL)
    return [tuple(round(float(one)) for one in at) for at in re.findall(r"translate\(([\d.]+),([\d.]+)\)", group)]


def test_readme_shows_the_committed_baseline():
    """The README's table is the report of the newest committed baseline."""
    results = saved(BASELINES[-1])

    readme = (ROOT / "README.md").read_text("utf-8")
    shown = readme.split("<!-- results -->\n")[1].split("\n<!-- /results -->")[0]
    assert shown == table.render_run(results)


def test_readme_says_what_to_ship(capsys):
    """Each line of the README's answer is what the command in it recommends, with its figures."""
    readme = (ROOT / "README.md").read_text("utf-8")
    lines = re.findall(r"^- \*\*.*\*\*: `(.+?)`, (.+) \(`(.+)`\)", readme, re.MULTILINE)
    answers = []
    for *_, options in lines:
        assert main(["recommend", str(BASELINES[-1]), *shlex.split(options)]) == 0
        answers.append(" ".join(capsys.readouterr().out.split()))

    assert len(lines) == 5
    assert [
        (name, figures)
        for (name, figures, _), answer in zip(lines, answers, strict=True)
        if f"ship {name}: {figures}" not in answer
    ] == []


def test_readme_says_what_comes_next(capsys):
    """Where a line of the answer says how much longer another row takes, the command says so too."""
    readme = (ROOT / "README.md").read_text("utf-8")
    said = re.findall(r"^- .*\(`(--.+?)`\).* `(.+?)` takes ([\d.]+) times as long", readme, re.MULTILINE)
    answers = []
    for options, *_ in said:
        assert main(["recommend", str(BASELINES[-1]), *shlex.split(options)]) == 0
        answers.append(" ".join(capsys.readouterr().out.split()))

    assert len(said) == 2
    assert [
        (name, factor)
        for (_, name, factor), answer in zip(said, answers, strict=True)
        if f"{name} {factor} times the latency" not in answer
    ] == []


def test_readme_is_read_in_three_minutes():
    """The README has at most 120 lines, the table of results included."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


def test_readme_shows_the_plot_of_the_committed_baseline():
    """The README's figure has a mark per row, where the committed baseline has it."""
    [run] = shown([("baseline", saved(BASELINES[-1]))])
    drawn = charts.pareto(run.points, batch=1)

    figure = (ROOT / "crnn" / "report" / "pareto.svg").read_text("utf-8")
    assert places(figure) == places(charts.svg(drawn))
