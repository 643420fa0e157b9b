"""The techniques' page and the files that its figures come from."""

import pytest

from crnn.optimize.studies.__main__ import studies
from crnn.optimize.studies.baseline import measured
from crnn.optimize.studies.common import PAGE, rows_of

CER_POINT = 0.01


@pytest.mark.parametrize("name", studies())
def test_page_shows_the_figures(name):
    """Each table on the page equals the table made from its file."""
    page = PAGE.read_text("utf-8")

    assert f"<!-- {name} -->\n{studies()[name].table()}\n<!-- /{name} -->" in page


def test_the_chosen_criterion_is_the_best():
    """Iterative pruning ranks by the criterion that lost least in the comparison."""
    assert min(rows_of("criteria"), key=lambda row: row["cer_after"])["criterion"] == "taylor"


def test_the_chosen_loss_is_the_best():
    """Distillation's default weights are those of the best ablation."""
    best = min(rows_of("distillation"), key=lambda row: row["validation_cer"][-1])

    assert (best["labels"], best["soft"]) == (1.0, 1.0)


@pytest.fixture(scope="module")
def baseline():
    """The rows of the committed baseline."""
    return measured()


def change(row):
    """The CER difference of a row to its original."""
    return row.accuracy.cer_difference_to_original_fraction


def test_iterative_pruning_takes_a_third_of_the_macs(baseline):
    """Iterative pruning leaves at most a third of the MACs."""
    names = ("torch-original", "torch-channel-pruned-iterative")
    counts = [baseline[name].footprint.multiply_adds_per_line_count for name in names]

    assert counts[0] / counts[1] >= 3


def test_iterative_pruning_costs_at_most_a_tenth_of_a_point(baseline):
    """Iterative pruning costs at most 0.1 points of CER."""
    assert change(baseline["torch-channel-pruned-iterative"]) <= 0.1 * CER_POINT


def test_the_student_reads_as_its_teacher(baseline):
    """The student's CER is at most 0.1 points above the teacher's, and no increase is significant."""
    row = baseline["torch-distilled"]
    low = row.accuracy.cer_difference_to_original_low_fraction

    assert (change(row) <= 0.1 * CER_POINT, low <= 0) == (True, True)


@pytest.mark.parametrize("part", ["full", "partial"])
def test_magnitude_pruning_recovered(baseline, part):
    """The magnitude-pruned rows lose at most 0.2 points of CER."""
    assert change(baseline[f"tf-magnitude-pruned-{part}"]) <= 0.2 * CER_POINT


def test_litert_agrees_with_keras(baseline):
    """LiteRT in float32 agrees with Keras within 1e-3 in log probability."""
    assert baseline["litert-fp32"].accuracy.log_prob_difference_to_parent_nats <= 1e-3


def test_rows_trained_again_read_alike():
    """Training again from scratch with another seed changes the CER by at most 0.2 points."""
    assert max(abs(row["cer_difference"][0]) for row in rows_of("rebuilds")) <= 0.2 * CER_POINT
