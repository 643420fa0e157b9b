"""The techniques' page, held against the files that its figures come from, and what those have to show."""

import json

import pytest

from crnn import study_report, variants

CER_POINT = 0.01


def results(name):
    """One study's rows."""
    return json.loads((study_report.PAGE.parent / "results" / f"{name}.json").read_text())["rows"]


def evidence(name):
    """What was measured beside the suite."""
    return json.loads((study_report.ROOT / "benchmarks" / "evidence" / f"{name}.json").read_text())


@pytest.mark.parametrize("name", study_report.TABLES)
def test_page_shows_the_figures(name):
    """Each table on the page is that of its files."""
    page = study_report.PAGE.read_text("utf-8")

    assert f"<!-- {name} -->\n{study_report.TABLES[name]()}\n<!-- /{name} -->" in page


def test_the_chosen_criterion_is_the_best():
    """Iterative pruning ranks by the criterion that lost least in the comparison."""
    assert min(results("criteria"), key=lambda row: row["cer_after"])["criterion"] == "taylor"


def test_the_chosen_loss_is_the_best():
    """Distillation's default weights are those of the best ablation."""
    best = min(results("distillation"), key=lambda row: row["validation_cer"][-1])

    assert (best["labels"], best["soft"]) == (1.0, 1.0)


def test_every_trained_torch_row_was_built_again():
    """Each was rebuilt from scratch, and its CER agrees with the shipped one within 0.2 points."""
    rebuilt = {row["variant"]: abs(row["difference"][0]) for row in evidence("rebuilds")}
    trained = {v.name for v in variants.VARIANTS if v.trained and v.runtime == "torch" and v.parent}

    assert rebuilt.keys() == trained
    assert [name for name, difference in rebuilt.items() if difference > 0.2 * CER_POINT] == []
