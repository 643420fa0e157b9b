"""How often the gate is wrong, recomputed from whole runs, planted slowdowns and retrained models.

The raw data are in ``benchmarks/evidence``: every process pair, and the edits of every line.
"""

import csv
import json
from collections import Counter, defaultdict
from datetime import datetime
from itertools import permutations

import numpy as np
import pytest

from benchmarks.evidence import characteristic, whole_runs
from benchmarks.evidence.characteristic import CALLS, CHANGES, COMPARISONS, PLANTED, engine
from benchmarks.evidence.whole_runs import Compared, simulate
from crnn.gate.comparisons import LINES_TAIL
from crnn.gate.measures import measure as declared
from crnn.gate.sequential import SAME, WORSE, decide
from crnn.measure.accuracy import paired_difference
from crnn.measure.packing import unpack
from crnn.tests.test_evidence import EVIDENCE

PLANTS = EVIDENCE / "planted.csv"
ENGINES = {"PyTorch eager", "PyTorch inductor", "TensorFlow", "LiteRT", "ONNX Runtime", "OpenVINO"}


@pytest.fixture(scope="module")
def kept():
    """The whole runs, and those that were simulated from their pairs."""
    return json.loads(whole_runs.KEPT.read_text("utf-8"))


@pytest.fixture(scope="module")
def tests(kept):
    """The tests of the gate, whose runs can be drawn."""
    return {test: Compared.of(kept, test) for test in kept["baseline"]["pairs"]}


@pytest.fixture(scope="module")
def letters():
    """The first letters of all verdicts: on drawn runs, and on planted slowdowns."""
    return json.loads(characteristic.OUT.read_text("utf-8"))


def share(words, signs):
    """The share of verdicts that begin with one of these letters."""
    return sum(word in signs for word in words) / len(words)


class TestWholeRuns:
    def test_unchanged_runs_are_green(self, kept):
        """In the runs of unchanged code every verdict is green, and no test failed."""
        words = Counter(word for run in kept["runs"] for found in run["verdicts"].values() for word in found)

        assert [run["failed"] for run in kept["runs"]] == [[]] * 2
        assert set(words) <= {"same", "faster"}
        assert {run["commit"] for run in kept["runs"]} == {kept["baseline"]["commit"]}

    def test_the_hours(self, kept):
        """The last run began more than an hour after the baseline."""
        began = [datetime.fromisoformat(run["started"]) for run in (kept["baseline"], *kept["runs"])]

        assert began == sorted(began)
        assert (began[-1] - began[0]).total_seconds() > 3600

    def test_verdicts_follow_from_the_pairs(self, kept, tests):
        """The saved pairs of each run give the verdicts that it saved."""
        for run in kept["runs"]:
            found = defaultdict(Counter)
            for test, compared in tests.items():
                for name, one in compared.references.items():
                    ratios, direct = run["pairs"][test][one.quantity]
                    found[name][one.direct.verdict(direct, ()) if direct else one.word(ratios)] += 1
            assert {name: dict(words) for name, words in found.items()} == run["verdicts"]

    def test_simulated_runs_are_green(self, kept):
        """Of a thousand runs that are drawn from these pairs, at most ten are not green."""
        assert kept["simulated"]["count"] == 1000
        assert len(kept["simulated"]["not green"]) <= 10

    def test_simulated_again(self, kept, tests):
        """Runs that are simulated again have the same verdicts, green or not."""
        numbers = [0, 1, *map(int, list(kept["simulated"]["not green"])[:3])]

        assert {number: simulate(tests, number) for number in numbers} == {
            number: kept["simulated"]["not green"].get(str(number), {}) for number in numbers
        }


class TestCharacteristic:
    def test_each_engine_has_a_row(self, letters):
        """One row per engine at least, with all changes, 200 comparisons each."""
        drawn = letters["drawn"]
        cells = [by_change for found in drawn.values() for by_change in found.values()]

        assert {engine(test) for test in drawn} >= ENGINES
        assert {tuple(by_change) for by_change in cells} == {tuple(f"{change:g}" for change in CHANGES)}
        assert {len(words) for by_change in cells for words in by_change.values()} == {COMPARISONS}

    def test_drawn_again(self, letters, tests):
        """The first comparisons that are drawn again have the same verdicts."""
        for test in list(tests)[::5]:
            for change in (0.0, 1.0):
                for name, words in characteristic.drawn_letters(tests[test], change, 5).items():
                    assert letters["drawn"][test][name][f"{change:g}"][:5] == words

    @pytest.mark.parametrize(
        ("change", "signs", "least"),
        [(0.0, "sb", 0.99), (0.2, "sbu", 0.98), (1.0, "w", 0.95), (2.0, "w", 0.995)],
        ids=["unchanged", "a fifth of the limit", "the limit", "twice the limit"],
    )
    def test_over_all_rows(self, letters, change, signs, least):
        """Unchanged calls are green, a fifth of the limit is not red, the limit is red, and twice the limit too."""
        rows = letters["drawn"].values()
        pooled = {name: "".join(row[name][f"{change:g}"] for row in rows if name in row) for name in CALLS}
        found = {name: share(words, signs) for name, words in pooled.items()}

        assert {name: one for name, one in found.items() if one < least} == {}


class TestPlanted:
    @pytest.fixture
    def pairs(self):
        """Planted slowdowns, as they were measured."""
        return characteristic.pools(PLANTS)

    def test_each_engine_was_slowed_in_two_ways(self, pairs):
        """Each engine has a busy wait and a real slowdown, at both settings."""
        found = defaultdict(set)
        for name, measurement, planted in pairs:
            how = "wait" if planted[0].isdigit() else "real"
            found[engine(f"test[{name}]")].add((measurement, how))

        assert found == {one: {(name, how) for name in CALLS for how in ("wait", "real")} for one in ENGINES}

    def test_a_busy_wait_is_as_long_as_planted(self, pairs):
        """Without a wait the ratios are 1, with one they are larger by it; means over the pairs, within 3 %."""
        wrong = {}
        for case, ratios in pairs.items():
            if case[2][0].isdigit():
                mean = float(np.exp(np.log(ratios).mean()))
                if abs(mean / (1 + float(case[2])) - 1) > 0.03:
                    wrong[case] = mean

        assert wrong == {}

    def test_planted_slowdowns_are_red(self, letters):
        """Busy waits of the limit and of twice the limit, and real slowdowns, are red in nearly all comparisons."""
        missed = {case: share(words, "w") for case, words in letters["planted"].items() if not case.endswith(" 0")}

        assert {case: one for case, one in missed.items() if one < 0.95} == {}
        assert {len(words) for words in letters["planted"].values()} == {PLANTED}

    def test_unchanged_pairs_are_green(self, letters):
        """Without a wait no comparison is red."""
        unchanged = {case: words for case, words in letters["planted"].items() if case.endswith(" 0")}

        assert len(unchanged) == 18
        assert {case: words.count("w") for case, words in unchanged.items() if "w" in words} == {}

    def test_compared_again(self, letters, pairs):
        """The verdicts on the pairs are those that were saved."""
        for name, measurement, planted in list(pairs)[::6]:
            words = characteristic.planted_letters(measurement, pairs[name, measurement, planted], 10)
            assert letters["planted"][f"{name} {measurement} {planted}"][:10] == words

    def test_the_file_is_whole(self):
        """Each pair has both calls, or the smaller one alone at one thread."""
        with PLANTS.open(encoding="ascii", newline="") as file:
            rows = list(csv.DictReader(file))

        assert {row["setting"] for row in rows} == {"one-thread", "deployment"}
        assert min(float(row["latency"]) for row in rows) > 0


class TestSeeds:
    @pytest.fixture
    def models(self):
        """Models of one recipe with several seeds."""
        return json.loads((EVIDENCE / "seeds.json").read_text("utf-8"))

    @pytest.mark.parametrize("split", ["test", "larger"])
    def test_other_seeds_are_no_regression(self, models, split):
        """Five models make other errors, and each compares with each other as `same`."""
        characters = unpack(models[f"{split}_characters"])
        edits = [unpack(model[f"{split}_edits"]) for model in models["models"]]
        words = Counter()
        for before, after in permutations(edits, 2):
            change, (low, high) = paired_difference(after, before, characters, LINES_TAIL)
            words[decide(change, low, high, declared("cer").limit.allowed(1))] += 1

        assert len({one.tobytes() for one in edits}) == 5
        assert (words[WORSE], sum(words.values())) == (0, 20)
        assert words == {SAME: 20}
