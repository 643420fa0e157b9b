"""Changes of the tree and of baselines that would leave no verdict to fail, in a repository of their own."""

import json

import pytest

from crnn.gate.verdicts import INCOMPARABLE_STATUS, REGRESSED_STATUS
from crnn.tests.gate_repository import REGISTRY


class TestTree:
    """Changes of the tree that would leave no verdict to fail."""

    @pytest.mark.parametrize(
        ("file", "old", "new", "message"),
        [
            (
                REGISTRY,
                "max_cer=9.0",
                'max_cer=9.0, gate={"relative_latency": "off"}',
                "gate.relative_latency steady 5 % off",
            ),
            (REGISTRY, "max_bytes=100", "max_bytes=1000", "max_bytes steady 100 1000"),
            ("crnn/gate/measures.py", 'limit=Limit(0.1, "pp")', 'limit=Limit(1, "pp")', "gate.cer steady 0.1 pp 1 pp"),
            ("fixtures/options.py", "(1, 32, 128)", "(1, 32)", "batch_sizes defaults 1, 32, 128 1, 32"),
            (REGISTRY, 'suffix=".bin",', 'suffix=".bin", watched=name == "slowed",', "watched steady yes no"),
        ],
        ids=["limit off", "threshold", "default limit", "default batch sizes", "not watched"],
    )
    def test_what_got_looser_is_red(self, run_pytest, edit, baseline, file, old, new, message):
        """A looser limit, threshold or default is red and named, although every value is the same."""
        edit(file, old, new)
        output, status = run_pytest("benchmarks/test_footprint.py", f"--benchmark-compare={baseline.stem}")

        assert status == REGRESSED_STATUS, output
        assert f"loosened {message}" in " ".join(output.split())

    def test_an_autosaved_run_is_not_the_next_baseline(self, run_pytest, baseline):
        """A regressed run that was saved by itself is not what the next run is compared with."""
        runs = ("benchmarks/test_gate.py", "--benchmark-autosave", "--benchmark-compare")
        statuses = [run_pytest(*runs, slowed="slowed")[1] for _ in range(2)]

        assert statuses == [REGRESSED_STATUS] * 2

    def test_unit_tests_alone_compare_nothing(self, run_pytest, baseline):
        """Where no benchmark is collected, a comparison is refused: it would be green in any case."""
        output, status = run_pytest("crnn/tests/test_text.py", f"--benchmark-compare={baseline.stem}")

        assert status == pytest.ExitCode.USAGE_ERROR
        assert "nothing to compare: no benchmark was collected; run pytest benchmarks" in output

    @pytest.mark.parametrize(
        ("session", "message"),
        [
            ({"failed": ["benchmarks/x.py::y"]}, "benchmarks/x.py::y failed"),
            ({"interrupted": True}, "interrupted"),
            ({"quick": True}, "a --quick run"),
            ({"machine": {"disturbed_before": "steal 30 %"}}, "the machine was busy before the run: steal 30 %"),
        ],
        ids=["failed", "interrupted", "quick", "busy"],
    )
    def test_an_unfit_baseline_is_refused(self, run_pytest, baseline, tmp_path, session, message):
        """A baseline that failed, was interrupted, quick, or measured on a busy machine ends the run at once."""
        content = json.loads(baseline.read_text())
        content["crnn"] |= session
        old = tmp_path / "old.json"
        old.write_text(json.dumps(content))
        output, status = run_pytest("benchmarks/test_footprint.py", f"--benchmark-compare={old}")

        assert status == INCOMPARABLE_STATUS
        assert message in output

    def test_another_machine_s_baseline_serves_for_what_does_not_depend_on_it(self, run_pytest, baseline, tmp_path):
        """Against another machine's baseline the rest is compared; whether that passes is the user's choice."""
        content = json.loads(baseline.read_text())
        content["machine_info"]["fingerprint"]["cpu"] = "another"
        old = tmp_path / "old.json"
        old.write_text(json.dumps(content))
        runs = ("benchmarks/test_footprint.py", f"--benchmark-compare={old}")
        (strict, refused), (lenient, passed) = run_pytest(*runs), run_pytest(*runs, "--gate-machine=any")

        assert (refused, passed) == (INCOMPARABLE_STATUS, 0), lenient
        assert "no times, memory or operators compared: the baseline's machine differs in cpu (" in lenient
        assert "to save one of this machine: pytest benchmarks --benchmark-save=baseline" in strict
