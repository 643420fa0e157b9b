"""What the gate's verdicts are worth, recomputed from what was measured to learn it.

``benchmarks/evidence`` holds every process pair and every line's edits. Each comparison
below takes its pairs from there as the gate would have taken them, and no two comparisons
of unchanged code share a process.
"""

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from crnn.gate.comparisons import LINES_TAIL
from crnn.gate.intervals import ratio_interval
from crnn.gate.measures import measure as declared
from crnn.gate.sequential import BASELINE_PAIRS, FAMILY, SAME, SCREEN_TAIL, WORSE, Reference, decide, measure
from crnn.measure.accuracy import paired_difference
from crnn.measure.packing import unpack

EVIDENCE = Path(__file__).parents[2] / "benchmarks" / "evidence"
SLOWER = declared("relative_latency").limit.allowed(1)
COMPARISONS = {"ort-torch2onnx-optimized": 275, "torch-original": 25}
# Latency comparisons in one run of the suite, against two baselines.
FAMILY_SIZE = 12


def pairs(name):
    """Ratios by variant and planted share, in order of time."""
    found = defaultdict(list)
    with (EVIDENCE / f"{name}.csv").open(encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            found[row["variant"], float(row["planted"])].append(float(row["ratio"]))
    return found


def parts(ratios, size):
    """Whole parts of that size, in order."""
    return [tuple(ratios[start : start + size]) for start in range(0, len(ratios) - size + 1, size)]


def baselines(variant, count):
    """The first pairs measured of unchanged code, a baseline's number each."""
    return parts(pairs("unchanged")[variant, 0.0], BASELINE_PAIRS)[:count]


def gate(sets, source):
    """Compare with each baseline in turn, taking pairs from the source; words, and pairs used."""
    words, used = [], []
    for ratios in sets:
        reference = Reference(tuple(ratios), SLOWER)
        measured = measure(source.__next__, [reference], FAMILY_SIZE)
        words.append(reference.verdict(measured.screen, measured.confirmation, FAMILY_SIZE))
        used.append(len(measured))
    return words, used


@pytest.fixture(scope="module")
def unchanged():
    """Words and pairs used of all comparisons of unchanged code, by variant."""
    return {
        variant: gate(baselines(variant, count), iter(pairs("unchanged")[variant, 0.0][BASELINE_PAIRS * count :]))
        for variant, count in COMPARISONS.items()
    }


class TestLatency:
    def test_unchanged_code_is_never_flagged(self, unchanged):
        """300 comparisons, baselines from the first hour, runs from the next: none is red for any reason."""
        assert Counter(word for words, _ in unchanged.values() for word in words) == {SAME: 300}

    @pytest.mark.parametrize("load", ["quiet", "half"])
    @pytest.mark.parametrize(("planted", "least"), [(0.05, 57), (0.10, 60)])
    def test_a_planted_slowdown_is_caught(self, load, planted, least):
        """A busy wait in the worker, 60 runs; with the other core idle, and with half a load on it."""
        variant = "ort-torch2onnx-optimized"
        words, _ = gate(baselines(variant, 60), iter(pairs(load)[variant, planted]))

        assert words.count(WORSE) >= least

    def test_sequential_stopping_saves_a_third(self, unchanged):
        """A plan of one size needs more pairs to leave as few comparisons open."""
        variant = "ort-torch2onnx-optimized"
        source = pairs("unchanged")[variant, 0.0][BASELINE_PAIRS * COMPARISONS[variant] :]
        words, used = unchanged[variant]

        def decides(size):
            """Whether one look at that many pairs leaves no comparison open, of those that there are pairs for."""
            sets = zip(baselines(variant, COMPARISONS[variant]), parts(source, size), strict=False)
            return all(Reference(ratios, SLOWER).word(run, SCREEN_TAIL) == SAME for ratios, run in sets)

        size = next(filter(decides, range(2, 13)))
        assert words.count(SAME) == len(words)
        assert np.mean(used) <= 2 / 3 * size
        # As benchmarks/README.md says, over both engines.
        everywhere = [count for _, counts in unchanged.values() for count in counts]
        assert (size, round(float(np.mean(everywhere)), 1)) == (9, 3.1)

    def test_alone_and_within_the_suite_are_the_same(self):
        """What else the suite keeps running changes the ratio by less than 3 %."""
        measured = json.loads((EVIDENCE / "alone.json").read_text())
        changes = {name: ratio_interval(m["suite"], m["alone"], 0.025)[0] - 1 for name, m in measured.items()}

        assert len(changes) == 6
        assert {name: change for name, change in changes.items() if abs(change) >= 0.03} == {}
        assert round(max(map(abs, changes.values())), 3) == 0.009

    def test_the_gate_takes_at_most_25_seconds_a_variant(self):
        """Of unchanged code, starts of processes included, on average over the suite."""
        measured = json.loads((EVIDENCE / "alone.json").read_text())

        mean_s = np.mean([m["gate_s"] for m in measured.values()])

        assert mean_s <= 25
        assert round(float(mean_s), 1) == 5.5


class TestAccuracy:
    @pytest.fixture
    def measured(self):
        """What ``accuracy.py`` wrote."""
        return json.loads((EVIDENCE / "accuracy.json").read_text())

    def word(self, before, after, characters):
        change, (low, high) = paired_difference(after, before, characters, LINES_TAIL)
        return decide(change, low, high, declared("cer").limit.allowed(1))

    def test_identical_weights_never_alarm(self, measured):
        """Each of 25 judgements, by other engines, batches and threads, against each other one: 300 comparisons."""
        characters = unpack(measured["line_characters"])
        judged = [unpack(entry["line_edits"]) for entry in measured["same"]]
        words = Counter(
            self.word(before, after, characters) for i, before in enumerate(judged) for after in judged[i + 1 :]
        )

        assert words == {SAME: 300}

    def test_a_rise_of_a_fifth_of_a_point_is_always_caught(self, measured):
        """Noise that costs 0.2 points of CER net, some lines getting better: 60 of 60."""
        characters, before = unpack(measured["line_characters"]), unpack(measured["same"][0]["line_edits"])
        planted = [unpack(edits) for edits in measured["planted"]]
        rises = [(after.astype(int) - before).sum() / characters.sum() for after in planted]

        assert (len(planted), min(rises) >= 0.002, max(rises) < 0.0022) == (60, True, True)
        assert Counter(self.word(before, after, characters) for after in planted) == {WORSE: 60}


class TestChance:
    def test_what_no_failure_in_so_many_shows(self):
        """0 of 300 keeps the rate of false alarms below 1 % with 95 % confidence; one test's level is lower still."""
        assert 1 - 0.05 ** (1 / 300) < 0.01
        assert FAMILY / FAMILY_SIZE < 0.001
