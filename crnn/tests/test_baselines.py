"""What can become a baseline, and how a baseline is stored."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crnn.gate.baselines import FOLDER, PINNED, ROLLING, faults, machine_key, newest, promote
from crnn.gate.measures import MEASURES, PAIRED
from crnn.gate.runs import compare_runs, limits_for, read
from crnn.gate.sequential import SAME, resolved
from crnn.tests.saved_runs import GATE_INFO, run, write


class TestPromote:
    def test_writes_without_raw_seconds(self, tmp_path):
        """A baseline keeps statistics and errors per line, but no raw timings: they would only take space."""
        written = promote(read(write(tmp_path / "run.json", run())), tmp_path / "baselines")

        assert [path.name for path in written] == [ROLLING, PINNED]
        assert "data" not in json.loads(written[0].read_text())["benchmarks"][0]["stats"]
        assert read(written[1]).benchmarks == read(tmp_path / "run.json").benchmarks

    def test_the_pinned_one_stays_unless_there_is_a_reason(self, tmp_path):
        """Promotions are counted while the pinned baseline stays; it moves with a reason, which it keeps."""
        folder = tmp_path / "baselines"
        reasons = (None, None, None, "a loss accepted for good")
        written = [
            [path.name for path in promote(read(write(tmp_path / "run.json", run())), folder, reason)]
            for reason in reasons
        ]
        counts = json.loads((folder / ROLLING).read_text())["crnn"]["promotions"]
        pinned = json.loads((folder / PINNED).read_text())["crnn"]["pinned"]

        assert written == [[ROLLING, PINNED], [ROLLING], [ROLLING], [ROLLING, PINNED]]
        assert (counts, pinned["reason"]) == (1, "a loss accepted for good")

    def test_the_third_promotion_leaves_the_pinned_one_behind(self, tmp_path):
        """After three promotions the pinned baseline is older than the rolling one."""
        folder = tmp_path / "baselines"
        for number in range(3):
            content = run()
            content["commit_info"]["id"] = f"{number:040}"
            promote(read(write(tmp_path / "run.json", content)), folder)
        commits = [json.loads((folder / name).read_text())["commit_info"]["id"] for name in (PINNED, ROLLING)]

        assert commits == [f"{0:040}", f"{2:040}"]

    def test_what_got_looser_is_promoted_by_name(self, tmp_path):
        """A run with a looser threshold is promoted only if the threshold is named."""
        old, new = run(), run()
        new["crnn"]["strictness"] = copy.deepcopy(new["crnn"]["strictness"])
        new["crnn"]["strictness"]["variants"]["torch-original"]["thresholds"]["max_bytes"] = 10**9
        command = [sys.executable, "-m", "crnn", "baseline", "promote", "--folder", tmp_path / "baselines"]

        def promoted(content, *more):
            path = write(tmp_path / "run.json", content)
            done = subprocess.run([*command, path, *more], capture_output=True, text=True, check=False)
            return done.returncode, done.stderr

        assert promoted(old)[0] == 0
        status, message = promoted(new)
        assert (status, "torch-original: max_bytes loosened" in message) == (1, True)
        assert promoted(new, "--loosened=torch-original.max_bytes")[0] == 0

    @pytest.mark.parametrize(
        ("session", "fault"),
        [
            ({"failed": ["benchmarks/x.py::y"]}, "benchmarks/x.py::y failed"),
            ({"quick": True}, "a --quick run"),
            ({"interrupted": True}, "interrupted"),
            ({"left_out": 3}, "3 of the suite's benchmarks left out"),
            ({"files_left_out": ["test_gate.py"]}, "test_gate.py was not run, or not all of it"),
            ({"machine": {"disturbed_before": "steal 9 %"}}, "the machine was busy before the run: steal 9 %"),
        ],
        ids=["failed", "quick", "interrupted", "partial", "a file less", "busy"],
    )
    def test_names_why_a_run_is_unfit(self, tmp_path, session, fault):
        """A failed, interrupted, partial or ``--quick`` run cannot become a baseline."""
        content = run()
        content["crnn"] |= session

        assert faults(read(write(tmp_path / "run.json", content))) == [fault]

    def test_a_run_that_stopped_early_is_unfit(self, tmp_path):
        """A compared run that stopped early has too few process pairs to become a baseline."""
        content = run(gate=GATE_INFO | {"gate_ratios": [1.0, 1.0]})

        assert ": 2 process pairs of 6" in faults(read(write(tmp_path / "run.json", content)))[0]

    def test_pairs_that_spread_too_widely_are_unfit(self, tmp_path):
        """Pairs whose spread cannot resolve the limit are no baseline if no commit is known that could be paired."""
        content = run(gate=GATE_INFO | {"gate_ratios": [0.95, 0.95, 1.05, 1.05] * 2})
        unknown = content | {"commit_info": content["commit_info"] | {"dirty": True}}
        [fault] = faults(read(write(tmp_path / "run.json", unknown)))

        assert "relative_latency spreads by 7.1 %: 8 pairs do not resolve 5 %" in fault
        assert faults(read(write(tmp_path / "run.json", content))) == []

    def test_a_row_at_a_slow_pace_is_unfit(self, tmp_path):
        """A row whose anchor was a third slower all the time than beside another row has ratios of another machine."""
        content = run(gate=GATE_INFO | {"gate_anchor_s": 0.002})
        other = copy.deepcopy(next(entry for entry in content["benchmarks"] if "gate_ratios" in entry["extra_info"]))
        other["fullname"] += "-other"
        other["extra_info"]["gate_anchor_s"] = 0.0015
        content["benchmarks"].append(other)

        assert [fault for fault in faults(read(write(tmp_path / "run.json", content))) if "slower" in fault] == [
            "benchmarks/test_gate.py::test_process_pairs[torch-original]: the machine was slower than it can be: "
            "the anchor's fastest call took 2.0 ms, 1.5 ms beside other rows"
        ]

    def test_mostly_disturbed_pairs_are_unfit(self, tmp_path):
        """A row is refused if more than half of its pairs were measured in a slow phase, not if half were."""
        ratios = {"gate_ratios": [1.0] * 8, "gate_anchor_s": 0.002}
        contents = [run(gate=GATE_INFO | ratios | {"gate_disturbed_pairs_count": count}) for count in (4, 5)]
        found = [faults(read(write(tmp_path / "run.json", content))) for content in contents]

        assert found == [
            [],
            ["benchmarks/test_gate.py::test_process_pairs[torch-original]: 5 pairs were measured while the machine was "
             "slower than it can be"],
        ]  # fmt: skip

    def test_a_sound_run_is_fit(self, tmp_path):
        """A complete run without failures can become a baseline."""
        assert faults(read(write(tmp_path / "run.json", run()))) == []


class TestFolders:
    @pytest.mark.parametrize(
        ("machine", "folder"),
        [
            ({"cpu": "AMD EPYC, 25, 1, 1", "cores": 2}, "linux-x86_64-amd-epyc-25-1-1-2-cores"),
            ({"cpu": "Neoverse-N1", "architecture": "aarch64", "cores": 4}, "linux-aarch64-neoverse-n1-4-cores"),
        ],
    )
    def test_each_kind_of_machine_has_its_own(self, machine, folder):
        """The folder is named by system, architecture, processor and cores, not by versions."""
        known = {"system": "Linux", "architecture": "x86_64", "accelerator": None, "versions": {"torch": "2"}}

        assert machine_key(known | machine) == folder

    def test_an_autosaved_run_is_none(self):
        """Of the saved files the newest that was named counts, not one that pytest-benchmark named by commit."""
        saved = ["0001_baseline.json", "0002_mine.json", f"0003_{'a' * 40}_20261127_021500.json",
                 f"0004_{'b' * 40}_20261127_021600_uncommited-changes.json"]  # fmt: skip

        assert newest([Path(name) for name in saved]) == Path("0002_mine.json")


def committed():
    """Folders of the committed baselines."""
    return sorted(path.parent for path in FOLDER.glob(f"*/{ROLLING}"))


class TestCommitted:
    @pytest.mark.parametrize("folder", committed(), ids=lambda folder: folder.name)
    def test_it_is_fit(self, folder):
        """A committed baseline has no fault, lies in its machine's folder, and is the same as itself."""
        baseline = read(folder / ROLLING)

        assert faults(baseline) == []
        assert machine_key(baseline.fingerprint) == folder.name
        assert {verdict.word for verdict in compare_runs(baseline, baseline, {})} == {SAME}

    @pytest.mark.parametrize("folder", committed(), ids=lambda folder: folder.name)
    def test_the_pinned_one_stays(self, folder):
        """It has a reason, and after three promotions it is older than the rolling one."""
        rolling, pinned = read(folder / ROLLING), read(folder / PINNED)

        assert pinned.session["pinned"]["reason"] != ""
        assert rolling.session["promotions"] < 3 or pinned.content["datetime"] < rolling.content["datetime"]

    @pytest.mark.parametrize("folder", committed(), ids=lambda folder: folder.name)
    def test_rows_with_a_wider_limit_are_named(self, folder):
        """benchmarks/README.md names all rows whose pairs do not resolve the default limit, with what they resolve."""
        page = (FOLDER.parents[1] / "benchmarks" / "README.md").read_text("utf-8")
        [paragraph] = [line for line in page.splitlines() if line.startswith("**A baseline's spread")]
        wide = {}
        for info in read(folder / ROLLING).benchmarks.values():
            for measure in (measure for measure in MEASURES if measure.record in PAIRED and measure.key in info):
                least, setting = resolved(info[measure.key]), measure.record.__name__
                if least > limits_for(info, {})[measure.name].allowed(1):
                    row = (setting, info["variant"])
                    wide[row] = max(least, wide.get(row, 0.0))

        named = re.findall(r"`([a-z0-9-]+)` (\d+\.\d) %", paragraph)
        assert sorted(named) == sorted((name, f"{100 * least:.1f}") for (_, name), least in wide.items())
