"""The gate as a user runs it, in a separate repository whose variants take a known time per call."""

import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from crnn.gate.verdicts import INCOMPARABLE_STATUS, REGRESSED_STATUS
from crnn.tests.gate_repository import DEPLOYED, GATE, REGISTRY, ROOT, RUNTIME

AGAIN = "was not green at first: measured again at the end"


@pytest.fixture(scope="module")
def slower(run_pytest, baseline, tmp_path_factory):
    """A run in which one of the two variants is slower: output, status and output folder."""
    folder = tmp_path_factory.mktemp("slower")
    output, status = run_pytest(
        "benchmarks/test_footprint.py",
        "benchmarks/test_gate.py",
        f"--benchmark-compare={baseline.stem}",
        f"--junitxml={folder / 'junit.xml'}",
        f"--gate-report={folder / 'report.md'}",
        f"--benchmark-json={folder / 'run.json'}",
        slowed="slowed",
    )
    return output, status, folder


class TestCompare:
    def test_exit_status_says_regressed(self, slower):
        """A regression has an exit status of its own."""
        assert slower[1] == REGRESSED_STATUS, slower[0]

    def test_the_slower_variant_fails_in_junit_and_no_other(self, slower):
        """Only the slower variant's test fails, with before, after, interval and limit in its message."""
        failed = {
            case.get("name"): case.find("failure").get("message")
            for case in ElementTree.parse(slower[2] / "junit.xml").iter("testcase")  # noqa: S314 our own file
            if case.find("failure") is not None
        }

        assert list(failed) == ["test_process_pairs[slowed]", "test_deployment[slowed]"]
        for part in ("relative_latency regressed, ", " -> ", "limit 5 %", "later ones", "against baseline"):
            assert part in failed["test_process_pairs[slowed]"]

    def test_a_slowdown_is_measured_again_at_the_end(self, slower):
        """Both tests of the slower variant run twice, the second time behind all others."""
        assert " postponed" in slower[0]
        assert [f"{test}[slowed] {AGAIN}" in slower[0] for test in ("test_process_pairs", "test_deployment")] == [
            True
        ] * 2

    def test_a_slowdown_that_ends_is_none(self, run_pytest, baseline, tmp_path):
        """What the first pairs show and those at the end of the run do not is not red."""
        output, status = run_pytest(
            "benchmarks/test_gate.py",
            f"--benchmark-compare={baseline.stem}",
            # Counting loads takes longer than loading.
            "--gate=load=off,start=off",
            slowed="slowed",
            # To evaluate it, and for two pairs of each test.
            slow_loads=f"{tmp_path / 'loads'}:5",
        )

        assert status == 0, output
        assert f"test_process_pairs[slowed] {AGAIN}" in output

    def test_the_report_is_written(self, slower):
        """The Markdown report contains the failed verdict."""
        assert "| slower | relative_latency | test_process_pairs[slowed] |" in (slower[2] / "report.md").read_text()

    def test_the_run_is_saved_with_its_verdicts(self, slower):
        """A slower run is saved with its verdicts and the name of the failed test."""
        content = json.loads((slower[2] / "run.json").read_text())
        verdicts = {b["fullname"]: b["extra_info"].get("gate_verdicts") for b in content["benchmarks"]}

        assert verdicts[f"{GATE}[slowed]"] == {"relative_latency, baseline": "slower"}
        assert verdicts[f"{GATE}[steady]"] == {"relative_latency, baseline": "same"}
        assert content["crnn"]["failed"] == [f"{DEPLOYED}[slowed]", f"{GATE}[slowed]"]

    def test_a_removed_variant_is_missing(self, run_pytest, repository, baseline, tmp_path):
        """A variant that is only in the baseline is missing, which is red; a deselected one is not missing."""
        content = json.loads(baseline.read_text())
        content["benchmarks"] = [b for b in content["benchmarks"] if "footprint" in b["fullname"]]
        steady = next(b for b in content["benchmarks"] if "[steady]" in b["fullname"])
        removed = json.loads(json.dumps(steady).replace("[steady]", "[gone]"))
        removed["extra_info"]["variant"] = "gone"
        content["benchmarks"].append(removed)
        old = tmp_path / "old.json"
        old.write_text(json.dumps(content))
        # Even if the test that searches for missing results is not selected.
        runs = ["benchmarks/test_footprint.py", f"--benchmark-compare={old}"]
        output, status = run_pytest(*runs)

        assert status == INCOMPARABLE_STATUS
        assert "missing  all          test_footprint[gone]" in output
        output, status = run_pytest(*runs, "--variants=steady")
        assert status == 0, output
        assert "2 benchmarks of the baseline were not selected" in output

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (["--benchmark-compare=0999"], INCOMPARABLE_STATUS, "cannot compare: no saved run matches '0999'"),
            (["--benchmark-compare=pytest.ini"], INCOMPARABLE_STATUS, "pytest.ini is truncated or not JSON"),
            (["--gate=relative_latency=3%"], pytest.ExitCode.USAGE_ERROR, "need --benchmark-compare or --against"),
            (["--gate=speed=3%", "--benchmark-compare"], pytest.ExitCode.USAGE_ERROR, "no measurement 'speed'"),
            (["--against=nowhere"], INCOMPARABLE_STATUS, "no commit 'nowhere'"),
            (["--against=HEAD", "--benchmark-compare"], pytest.ExitCode.USAGE_ERROR, "use one baseline at a time"),
        ],
        ids=["no such run", "no JSON", "no baseline", "no such limit", "no such commit", "two baselines"],
    )
    def test_what_cannot_be_compared_ends_at_once(self, run_pytest, arguments, status, message):
        """An impossible comparison ends the run before anything is measured."""
        output, ended = run_pytest("benchmarks/test_footprint.py", *arguments)

        assert (ended, message in output) == (status, True), output


class TestOtherTools:
    def test_reads_what_was_promoted(self, baseline, tmp_path):
        """pytest-benchmark reads a promoted run, which has the keys for github-action-benchmark and Bencher."""
        folder = tmp_path / "baselines"
        promoted = [sys.executable, "-m", "crnn", "baseline", "promote", baseline, "--folder", folder, "--anyway"]
        subprocess.run(promoted, cwd=ROOT, capture_output=True, check=True)
        shown = subprocess.run(
            [sys.executable, "-m", "pytest_benchmark", "compare", folder / "0001_baseline.json", baseline],
            capture_output=True,
            text=True,
            check=True,
        )
        content = json.loads((folder / "0001_baseline.json").read_text())

        assert "test_process_pairs[steady]" in shown.stdout
        for benchmark in content["benchmarks"]:
            assert {"ops", "mean", "median", "stddev", "min", "max", "rounds"} <= set(benchmark["stats"])
            assert {"name", "fullname"} <= set(benchmark)
        assert content["commit_info"]["id"]


class TestAgainst:
    def test_a_slowdown_since_a_commit_is_red(self, run_pytest, repository, edit):
        """A slowdown since a commit is red without a baseline file, and the worktree is removed afterwards."""
        edit(RUNTIME, "(0.001 if", "(0.0012 if")
        edit(REGISTRY, 'for name in ("steady", "slowed")', 'for name in ("steady",)')
        output, status = run_pytest("benchmarks/test_gate.py", "--against=HEAD")
        trees = subprocess.run(["git", "worktree", "list"], cwd=repository, capture_output=True, text=True, check=True)

        assert status == REGRESSED_STATUS, output
        assert "benchmarks/test_gate.py::test_process_pairs[steady]: relative_latency regressed" in output
        assert "variant slowed: missing (against HEAD (" in output
        assert len(trees.stdout.splitlines()) == 1

    def test_a_slowdown_of_large_batches_is_red(self, run_pytest, edit):
        """Code that is only slower for batches of several lines is red: all that the table shows is compared."""
        edit(RUNTIME, "0.001 if len(images) < self._slowed_from", "0.001 if len(images) < 32")
        edit(RUNTIME, "else 0.0012", "else 0.002")
        output, status = run_pytest("benchmarks/test_gate.py", "--against=HEAD", "--variants=steady")

        assert status == REGRESSED_STATUS, output
        assert "test_deployment[steady]: deployed_largest regressed" in output
        assert "relative_latency regressed" not in output

    def test_a_base_that_fails_its_own_threshold_can_be_repaired(self, run_pytest, edit, committed):
        """A row that fails at the base is not compared, which is said; the change that repairs it passes."""
        edit(RUNTIME, 'write_bytes(b"nothing")', "write_bytes(bytes(200))")
        committed()
        edit(RUNTIME, "write_bytes(bytes(200))", 'write_bytes(b"nothing")')
        output, status = run_pytest("benchmarks/test_footprint.py", "--against=HEAD", "--variants=steady")

        assert status == 0, output
        assert "test_footprint[steady] fails at HEAD (" in output
