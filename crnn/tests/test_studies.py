"""The techniques' page and the files that its figures come from."""

import pytest

from crnn.artifacts import SHIPPED, sha256_of, verified_record
from crnn.measure.speedup import speedup
from crnn.optimize.studies.__main__ import studies
from crnn.optimize.studies.baseline import measured
from crnn.optimize.studies.common import PAGE, rows_of
from crnn.optimize.studies.fastest_ablation import CHOSEN

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


def gain(baseline, name, size):
    """The speed-up of a row over torch-original."""
    run = [row.latencies[size] for row in baseline.values()]
    return speedup(baseline[name].latencies[size], baseline["torch-original"].latencies[size], run).value


@pytest.mark.parametrize("name", ["fastest-ov-int8", "fastest-ort-int8"])
def test_the_fastest_rows_lose_nothing(baseline, name):
    """The interval of the fastest rows' CER difference ends at 0.1 points or below."""
    assert baseline[name].accuracy.cer_difference_to_original_high_fraction <= 0.1 * CER_POINT


def test_the_front_page_says_how_fast(baseline):
    """The README's speed-ups of the fastest row are those of the committed baseline."""
    at_128, at_1 = (gain(baseline, "fastest-ov-int8", size) for size in (128, 1))
    text = (PAGE.parents[2] / "README.md").read_text("utf-8")

    assert f"128 lines {at_128:.0f} times as fast as the original in eager PyTorch, at batch 1 it is {at_1:.0f}" in text


@pytest.mark.parametrize(("size", "least"), [(1, 25), (128, 100)])
def test_the_fastest_row_is_a_hundred_times_faster(baseline, size, least):
    """The fastest row is 25 times as fast as torch-original at batch 1, and 100 times at batch 128."""
    assert gain(baseline, "fastest-ov-int8", size) >= least


def test_the_fastest_row_takes_a_twentieth_of_the_bytes(baseline):
    """The fastest row's file is at most 5 % of torch-original's."""
    sizes = [baseline[name].footprint.file_bytes for name in ("fastest-ov-int8", "torch-original")]

    assert sizes[0] <= 0.05 * sizes[1]


def test_the_fastest_row_uses_the_machine(baseline):
    """The fastest row reaches at least 35 % of the machine's int8 matrix peak at batch 128."""
    assert baseline["fastest-ov-int8"].latencies[128].peak_share_fraction >= 0.35


def test_the_fastest_row_generalizes():
    """On labels and on a typeface that no training used, no seed's CER is 0.3 points above the original's."""
    changes = [change[0] for row in rows_of("fastest_seeds") for change in row["cer_differences"][1:3]]

    assert max(changes) <= 0.3 * CER_POINT


def test_the_fastest_row_reads_new_lines_as_well():
    """On lines of another seed, the difference to the original is within the test split's interval."""
    for row in rows_of("fastest_seeds"):
        (_, low, high), *_, (new_lines, *_) = row["cer_differences"]
        assert low <= new_lines <= high


def test_the_worst_of_three_trainings_is_shipped():
    """The fastest row was trained three times, and the one with the highest CER is the one shipped now."""
    runs = rows_of("fastest_seeds")
    worst = max(runs, key=lambda row: row["cer"])

    assert {row["seed"] for row in runs} == {1, 2, 3}
    assert worst["sha256"] == sha256_of(SHIPPED / "fastest-torch.pt")


def test_the_chosen_training_is_the_best():
    """The fastest row is trained in the way that had the lowest CER in int8 in the ablation."""
    assert min(rows_of("fastest_ablation"), key=lambda row: row["cer_int8"])["form"] == CHOSEN


def test_the_sweep_has_six_sizes():
    """The sweep has six sizes or more between 8 and 120 million MACs."""
    assert len([row for row in rows_of("fastest_sweep")[1:] if 8e6 <= row["macs"] <= 120e6]) >= 6


def test_the_fastest_row_is_trained_in_three_hours():
    """All epochs of the shipped training took three hours at most."""
    record = verified_record(SHIPPED / "fastest-torch.pt")
    epochs = record["epochs"] + record["int8"]["epochs"]

    assert len(epochs) == 9
    assert sum(epoch["seconds"] for epoch in epochs) <= 3 * 3600
