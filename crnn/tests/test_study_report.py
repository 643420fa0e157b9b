"""The techniques' page, held against the files that its figures come from, and what those have to show."""

import json

import pytest

from crnn import study_report
from crnn.registry import VARIANTS

CER_POINT = 0.01


def results(name):
    """One study's rows."""
    return json.loads((study_report.PAGE.parent / "results" / f"{name}.json").read_text())["rows"]


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


def baseline(variant, key):
    """A value in the committed baseline."""
    benchmarks = json.loads(study_report.BASELINE.read_text())["benchmarks"]
    return next(
        b["extra_info"][key] for b in benchmarks if b["extra_info"].get("variant") == variant and key in b["extra_info"]
    )


def test_iterative_pruning_takes_a_third_of_the_multiply_adds():
    """In the committed baseline."""
    names = ("torch-original", "torch-channel-pruned-iterative")
    counts = [baseline(name, "multiply_adds_per_line_count") for name in names]

    assert counts[0] / counts[1] >= 3


def test_iterative_pruning_costs_at_most_a_tenth_of_a_point():
    """In the committed baseline."""
    change = baseline("torch-channel-pruned-iterative", "cer_difference_to_original_fraction")

    assert change <= 0.1 * CER_POINT


def test_the_student_reads_as_its_teacher():
    """In the committed baseline, the paired interval holds zero or lies below, the estimate is at most 0.1 points."""
    change, low = (baseline("torch-distilled", f"cer_difference_to_original_{part}fraction") for part in ("", "low_"))

    assert (change <= 0.1 * CER_POINT, low <= 0) == (True, True)


@pytest.mark.parametrize("part", ["full", "partial"])
def test_magnitude_pruning_recovered(part):
    """In the committed baseline, the pruned rows lose at most 0.2 points of CER."""
    change = baseline(f"tf-magnitude-pruned-{part}", "cer_difference_to_original_fraction")

    assert change <= 0.2 * CER_POINT


def test_litert_answers_as_keras():
    """In the committed baseline, in fp32, within 1e-3 in log probability."""
    assert baseline("litert-fp32", "log_prob_difference_to_parent_nats") <= 1e-3


def rebuilt():
    """What was made again from scratch."""
    return json.loads((study_report.ROOT / "benchmarks" / "evidence" / "rebuilds.json").read_text())


def test_rows_made_again_are_those_that_are_shipped():
    """Each trained row but the originals was made again, and compared with the artifact that is shipped now."""
    from crnn.artifacts import sha256_of

    shipped = {
        variant.name: sha256_of(study_report.SHIPPED / f"{variant.name}{variant.suffix}")
        for variant in VARIANTS
        if variant.trained and variant.parent
    }

    assert {row["variant"]: row["shipped_sha256"] for row in rebuilt()} == shipped


def test_rows_made_again_read_alike():
    """Another seed, from scratch, gives the same CER within 0.2 points."""
    assert max(abs(row["cer_difference"][0]) for row in rebuilt()) <= 0.2 * CER_POINT
