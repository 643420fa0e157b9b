"""The gate of a session: what is missing, and what this machine's processor cannot run."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from crnn.gate.runs import RunError, read
from crnn.gate.selection import Asked, Outcomes
from crnn.gate.session import Gate
from crnn.measure.records import measured
from crnn.tests.saved_runs import (
    ACCURACY,
    COMMIT,
    DEPLOYMENT,
    DEPLOYMENT_INFO,
    FOOTPRINT,
    GATE,
    GATE_INFO,
    LATENCY,
    STRICTNESS,
    run,
    write,
)

ALL = {ACCURACY, FOOTPRINT, LATENCY, GATE, DEPLOYMENT}
NOT_CONFIRMED = "slowdowns are not confirmed by pairs with the baseline's commit"
UNCOMMITTED = "it was measured with changes that were not committed, or outside of a repository"
REASON = "no kernels for this processor"


@pytest.fixture
def missing(tmp_path):
    """Search for what is missing in a run that measured nothing; returns the tests and the gate's notes."""

    def missing(machine, unsupported):
        content = run()
        content["machine_info"]["fingerprint"] |= machine
        asked = Asked(("*",), (), (1,), "cpu", None, quick=False)
        outcomes = Outcomes(asked, lambda _: True, unsupported=unsupported)
        gate = Gate({}, read(write(tmp_path / "baseline.json", content)), strict=STRICTNESS, any_machine=True)
        return {verdict.test for verdict in gate.missing(outcomes)}, gate.notes

    return missing


def test_a_row_without_a_result_is_missing(missing):
    """Each of its benchmarks is named."""
    assert missing({}, {}) == (ALL, [])


def test_a_row_that_another_processor_ran_is_not_missing(missing):
    """The notes say that it was not run here, and why."""
    tests, notes = missing({"cpu": "another"}, {"torch-original": REASON})

    assert (tests, notes[1]) == (set(), f"not run here: torch-original: {REASON}")


def test_a_row_that_no_machine_of_ours_runs_is_not_left_out():
    """Its skipped tests do not keep a run from becoming a baseline; those of other rows do."""
    outcomes = Outcomes(None, bool, skipped={"a", "b"}, deselected={"c"}, unmeasured={"b"})

    assert outcomes.left_out == 2


def test_a_row_that_this_machine_ran_before_is_missing(missing):
    """On the machine of the baseline nothing excuses it: a wrong check of the processor would hide the row."""
    assert missing({}, {"torch-original": REASON})[0] == ALL


def test_a_baseline_measures_longer_for_calls_only():
    """Pairs are added until calls resolve their limits, not for loading and first calls."""
    entry = measured(DEPLOYMENT_INFO)

    assert Gate({}).allowed(entry.identity, entry.record) == {
        "deployed_ratios": 0.15,
        "deployed_largest_ratios": 0.15,
    }


def test_the_anchor_s_pace_is_the_baseline_s(tmp_path):
    """A run waits for calls as fast as those of its baseline; a benchmark that the baseline lacks has no pace."""
    content = run(deployment=DEPLOYMENT_INFO | {"deployed_anchor_s": 0.0015})
    gate = Gate({}, read(write(tmp_path / "baseline.json", content)))

    assert [gate.anchor_s(test) for test in (DEPLOYMENT, GATE, "other")] == [0.0015, None, None]


class Checkouts(list):
    """Pretends to check commits out, and keeps what was asked for; two names stand for commits that cannot be."""

    def __call__(self, commit, own_packages):
        if commit == "gone":
            raise RunError("no commit 'gone'")
        self.append((commit, own_packages))
        found = SimpleNamespace(list_variants=list, close=lambda: self.append("closed"))
        if commit == "broken":
            found.list_variants = self._fail
        found.workload = lambda variant, artifact: (commit, variant, artifact)
        return found

    @staticmethod
    def _fail():
        raise RunError("broken cannot list its variants")


@pytest.fixture
def compared(tmp_path):
    """Compare with a baseline of these properties; returns the gate, its references and what was checked out."""

    def compared(commit_info=None, machine=None, **options):
        content, checkouts = run(), Checkouts()
        content["commit_info"] |= commit_info or {}
        content["machine_info"]["fingerprint"] |= machine or {}
        gate = Gate({}, read(write(tmp_path / "baseline.json", content)), checkout=checkouts, **options)
        entry = measured(GATE_INFO)
        return gate, gate.references(GATE, entry.identity, entry.record), checkouts

    return compared


class TestCommits:
    def test_the_commit_of_the_baseline_is_at_hand(self, compared):
        """It is checked out once, run in this environment, and removed at the end."""
        gate, references, checkouts = compared()
        gate.references(GATE, measured(GATE_INFO).identity, measured(GATE_INFO).record)
        gate.close()

        assert [reference.commit for reference in references] == [COMMIT]
        assert checkouts == [(COMMIT, False), "closed"]

    @pytest.mark.parametrize(("artifact_sha256", "artifact"), [("b0" * 32, None), (None, "file")])
    def test_the_same_artifact_serves_both(self, compared, artifact_sha256, artifact):
        """The commit builds its own artifact if the baseline's was another one."""
        gate, references, _ = compared()
        identity = measured(GATE_INFO).identity
        if artifact_sha256:
            identity = replace(identity, artifact_sha256=artifact_sha256)

        assert gate.committed(references[0], identity, "file") == (COMMIT, identity.variant, artifact)

    def test_across_versions_it_has_its_own_packages(self, compared):
        """If versions differ and are accepted, the commit runs with those that it requires."""
        _, _, checkouts = compared(machine={"versions": {"torch": "9"}}, accept_versions=True)

        assert checkouts == [(COMMIT, True)]

    def test_a_commit_whose_code_does_not_run_is_removed(self, compared):
        """Its worktree does not stay, and a note says what went wrong."""
        gate, references, checkouts = compared({"id": "broken"})
        gate.missing(Outcomes(Asked((), (), (1,), "cpu", None, quick=False), bool))

        assert ([reference.commit for reference in references], checkouts) == ([""], [("broken", False), "closed"])
        assert f"{NOT_CONFIRMED}: broken cannot list its variants" in gate.notes

    @pytest.mark.parametrize(
        ("commit_info", "quick", "notes"),
        [
            ({"id": "gone"}, False, [f"{NOT_CONFIRMED}: no commit 'gone'"]),
            ({"dirty": True}, False, [f"{NOT_CONFIRMED}: {UNCOMMITTED}"]),
            ({}, True, []),
        ],
        ids=["gone", "uncommitted changes", "quick"],
    )  # fmt: skip
    def test_otherwise_later_pairs_decide(self, compared, commit_info, quick, notes):
        """Without a commit that holds what was measured, references name none; a note says why."""
        gate, references, checkouts = compared(commit_info, quick=quick)
        gate.missing(Outcomes(Asked((), (), (1,), "cpu", None, quick=False), bool))

        assert ([reference.commit for reference in references], checkouts) == ([""], [])
        assert [note for note in gate.notes if note.startswith("slowdowns")] == notes
