"""A baseline whose process pairs are measured again."""

import json

import pytest

from crnn.__main__ import main
from crnn.gate.baselines import ROLLING, faults, promote
from crnn.gate.renewal import renewed
from crnn.gate.runs import RunError, read
from crnn.tests.saved_runs import ACCURACY, COMMIT, DEPLOYMENT_INFO, GATE, GATE_INFO, run, write

FIRST, SECOND = [1.01, 1.02, 1.0, 0.99, 1.0, 1.01], [1.0, 0.98, 1.01, 1.0, 1.02, 1.0]
AT_LATER = {"datetime": "2026-11-27T08:00:00+00:00", "commit_info": {"id": "1a" * 20, "dirty": False}}


def of_pairs(ratios=FIRST, **changed):
    """A run of process pairs alone."""
    content = run(accuracy=None, footprint=None, latency=None, gate=GATE_INFO | {"gate_ratios": ratios} | changed)
    return content | {"datetime": AT_LATER["datetime"]}


@pytest.fixture
def saved(tmp_path):
    """Write runs to files; returns them as read."""

    def saved(*contents):
        return [read(write(tmp_path / f"{i}.json", content)) for i, content in enumerate(contents)]

    return saved


class TestRenewed:
    def test_pairs_are_those_of_the_later_runs_together(self, saved):
        """The ratios of all runs follow each other; seconds and disturbed pairs add up; the fastest anchor counts."""
        first = {"gate_pairs_s": 20.0, "gate_disturbed_pairs_count": 1, "gate_anchor_s": 0.002}
        second = {"gate_pairs_s": 30.0, "gate_disturbed_pairs_count": 2, "gate_anchor_s": 0.0015}
        base, *later = saved(run(), of_pairs(FIRST, **first), of_pairs(SECOND, **second))
        info = renewed(base, later).benchmarks[GATE]

        assert info["gate_ratios"] == FIRST + SECOND
        assert [info[name] for name in first] == [50.0, 3, 0.0015]

    def test_all_else_stays(self, saved):
        """What is not measured in pairs is the baseline's, and the file says when the pairs were measured."""
        base, later = saved(run(), of_pairs())
        found = renewed(base, [later])

        assert found.benchmarks[ACCURACY] == base.benchmarks[ACCURACY]
        assert found.session["renewed"] == [AT_LATER["datetime"]]
        assert faults(found) == []

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (run(gate=None, deployment=None), "has no process pairs"),
            (of_pairs(gate_verdicts={}), "was itself compared: its pairs stop early"),
            (of_pairs(artifact_sha256="other"), "not the baseline's row: artifact_sha256 differs"),
            (of_pairs() | {"machine_info": {"fingerprint": {"cpu": "other"}}}, "is of another machine"),
            (of_pairs() | {"crnn": run()["crnn"] | {"quick": True}}, "a --quick run"),
            (of_pairs() | {"crnn": run()["crnn"] | {"failed": ["a test"]}}, "a test failed"),
        ],
        ids=["none", "compared", "another artifact", "another machine", "quick", "failed"],
    )
    def test_an_unfit_run_is_refused(self, saved, content, reason):
        """A run that did not measure the baseline's rows as a baseline does is refused, with the reason."""
        base, later = saved(run(), content)

        with pytest.raises(RunError, match=reason):
            renewed(base, [later])

    def test_other_settings_are_refused(self, saved):
        """Pairs that were timed by different plans are no sample of one quantity."""
        base, *later = saved(run(), of_pairs(), of_pairs(gate_plan="Plan(other)"))

        with pytest.raises(RunError, match=r"gate_plan differs: Plan\(\.\.\.\), Plan\(other\)"):
            renewed(base, later)

    def test_rows_without_new_pairs_keep_theirs(self, saved):
        """A run of some rows renews those, in each run that has them."""
        base, first, second = saved(run(), of_pairs(), run(gate=None) | {"datetime": "later"})
        info = renewed(base, [first, second]).benchmarks[GATE]

        assert info["gate_ratios"] == FIRST

    @pytest.mark.parametrize(
        ("runs", "commit"),
        [
            ([of_pairs() | AT_LATER], AT_LATER["commit_info"]["id"]),
            ([of_pairs() | AT_LATER, of_pairs()], COMMIT),
            ([run(deployment=None) | AT_LATER], COMMIT),
        ],
        ids=["all pairs", "of two commits", "not all rows"],
    )
    def test_the_commit_is_that_of_all_pairs(self, saved, runs, commit):
        """Slowdowns are confirmed by pairs with one commit: the later runs' if all ratios are of it."""
        base, *later = saved(run(), *runs)

        assert renewed(base, later).commit == commit

    def test_pairs_that_spread_stay_unfit(self, saved):
        """What a promotion refuses in a run, it refuses in renewed pairs."""
        base, later = saved(run(), of_pairs([0.9, 1.1, 1.1, 0.9] * 2) | {"commit_info": {"id": COMMIT, "dirty": True}})

        assert ["do not resolve 5 %" in fault for fault in faults(renewed(base, [later]))] == [True]


class TestCommand:
    def test_renews_the_rolling_baseline(self, tmp_path, saved, capsys):
        """The command prints what changes, and writes the baseline; the pinned one stays."""
        base, *_ = saved(run(), of_pairs(SECOND), of_pairs(FIRST))
        promote(base, tmp_path / "baselines")
        code = main(["baseline", "renew", *(str(tmp_path / f"{i}.json") for i in (1, 2)),
                     "--folder", str(tmp_path / "baselines")])  # fmt: skip

        assert (code, capsys.readouterr().err) == (0, "")
        assert read(tmp_path / "baselines" / ROLLING).benchmarks[GATE]["gate_ratios"] == SECOND + FIRST
        assert json.loads((tmp_path / "baselines" / "pinned.json").read_text())["crnn"]["promotions"] == 1

    def test_without_a_baseline(self, tmp_path, saved, capsys):
        """Where there is no baseline to renew, the message names the file that is missing."""
        saved(run(), of_pairs())
        code = main(["baseline", "renew", str(tmp_path / "1.json"), "--folder", str(tmp_path / "none")])

        assert (code, f"{tmp_path / 'none' / ROLLING} cannot be read" in capsys.readouterr().err) == (12, True)


def test_deployment_pairs_are_pooled_too(saved):
    """Each quantity of a pair at deployment settings keeps its order."""
    base, *later = saved(run(), of_pairs(), of_pairs())
    deployed = next(test for test, info in base.benchmarks.items() if "deployed_ratios" in info)
    info = renewed(base, later).benchmarks[deployed]

    assert info["deployed_ratios"] == 2 * DEPLOYMENT_INFO["deployed_ratios"]
    assert info["deployed_load_ratios"] == 2 * DEPLOYMENT_INFO["deployed_load_ratios"]
