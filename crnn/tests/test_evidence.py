"""What makes pairs agree, what the gate costs, and how often changes of CER are found: from ``benchmarks/evidence``.

``test_error_rates.py`` has the rest: how often the gate is wrong about times.
"""

import json
from collections import Counter
from pathlib import Path
from statistics import stdev

import numpy as np
import pytest

from benchmarks.evidence import anchors, paces, probes
from crnn import registry
from crnn.gate.comparisons import LINES_TAIL
from crnn.gate.intervals import ratio_interval
from crnn.gate.measures import measure as declared
from crnn.gate.sequential import SAME, WORSE, decide
from crnn.measure.accuracy import paired_difference
from crnn.measure.packing import unpack
from crnn.measure.process_pairs import slowed_alike

EVIDENCE = Path(__file__).parents[2] / "benchmarks" / "evidence"


class TestLatency:
    def test_pairs_agree_better_in_blocks(self):
        """In blocks of 30 ms the pairs of each row spread less than call by call."""
        measured = json.loads((EVIDENCE / "turns.json").read_text())
        spreads = {
            name: [round(100 * stdev(np.log(plans[plan])), 1) for plan in ("single calls", "blocks of 30 ms")]
            for name, plans in measured.items()
        }

        assert {name: spread for name, spread in spreads.items() if spread[1] >= spread[0]} == {}
        # The figures in benchmarks/README.md.
        assert sorted(spreads.values()) == [[1.3, 0.6], [1.4, 0.5], [1.9, 1.1], [3.4, 2.1], [19.6, 2.3]]

    def test_alone_and_within_the_suite_are_the_same(self):
        """The other workers of the suite change the ratio by less than 3 %."""
        measured = json.loads((EVIDENCE / "alone.json").read_text())
        changes = {name: ratio_interval(m["suite"], m["alone"], 0.025)[0] - 1 for name, m in measured.items()}

        assert len(changes) == 6
        assert {name: change for name, change in changes.items() if abs(change) >= 0.03} == {}
        assert round(max(map(abs, changes.values())), 3) == 0.008

    def test_slow_phases_are_waited_for_where_it_helps(self):
        """Without blocks beside a slow anchor int8 models agree twice as well; float32 ones agree with them too."""
        measured = json.loads(paces.KEPT.read_text())
        found = {
            name: [(count, round(100 * deviation, 1)) for count, _, deviation in paces.summary(processes).values()]
            for name, processes in measured.items()
        }
        alike = {name for name in found if slowed_alike(registry.get(name))}

        # The figures in benchmarks/README.md: all blocks, and fast ones.
        assert {name: blocks for name, blocks in found.items() if name not in alike} == {
            "ort-pruned-int8": [(47, 13.2), (41, 5.6)],
            "ov-distilled-int8": [(47, 9.8), (41, 4.7)],
        }
        assert {name: found[name][0] for name in alike} == {
            "ov-fp32": (18, 0.5),
            "ort-rewritten": (18, 1.4),
            "litert-fp32": (18, 1.4),
            "tf-original": (18, 3.3),
            "torch-original": (18, 6.1),
            "torch-distilled": (18, 7.6),
        }
        without_one = []
        for name in ("torch-original", "torch-distilled"):
            logs = np.log(paces.ratios(measured[name], float("inf")))
            farthest = np.argmax(np.abs(logs - np.median(logs)))
            without_one.append(round(100 * stdev(np.delete(logs, farthest)), 1))
        assert without_one == [1.7, 2.3]

    def test_looking_for_slow_phases_makes_a_pair_unequal(self):
        """The worker that is not probed is slower than the same model that is; without probes neither is."""
        measured = json.loads(probes.KEPT.read_text())
        found = {
            which: sorted(round(100 * probes.summary(ratios[which])[0], 1) for ratios in measured.values())
            for which in ("probed", "not probed")
        }
        errors = [probes.summary(ratios)[1] for row in measured.values() for ratios in row.values()]

        # The figures in benchmarks/README.md.
        assert {len(ratios) for row in measured.values() for ratios in row.values()} == {10}
        assert found == {"probed": [0.3, 0.4, 0.6, 0.8], "not probed": [-0.8, -0.4, 0.3, 0.4]}
        assert (round(100 * min(errors), 1), round(100 * max(errors), 1)) == (0.2, 0.7)

    def test_small_models_agree_better_with_the_small_anchor(self):
        """No small model's ratios to the small anchor spread more than those to ONNX Runtime's anchor."""
        measured = json.loads(anchors.KEPT.read_text())
        found = [anchors.deviations(ratios) for ratios in measured.values()]
        large, small = (sorted(round(100 * row[f"{name}_anchor"], 1) for row in found) for name in ("onnx", "small"))

        assert [row for row in found if row["small_anchor"] > row["onnx_anchor"]] == []
        # The figures in benchmarks/README.md.
        assert {len(pairs) for ratios in measured.values() for pairs in ratios.values()} == {18}
        assert (large[0], large[-1], small[0], small[-1]) == (0.6, 1.9, 0.3, 1.0)

    def test_the_gate_takes_at_most_25_seconds_a_variant(self):
        """On unchanged code the gate takes at most 25 s per variant on average, process starts included."""
        measured = json.loads((EVIDENCE / "alone.json").read_text())

        mean_s = np.mean([m["gate_s"] for m in measured.values()])

        assert mean_s <= 25
        assert round(float(mean_s), 1) == 5.5


class TestAccuracy:
    @pytest.fixture
    def measured(self):
        """The JSON that ``accuracy.py`` wrote."""
        return json.loads((EVIDENCE / "accuracy.json").read_text())

    def word(self, before, after, characters):
        change, (low, high) = paired_difference(after, before, characters, LINES_TAIL)
        return decide(change, low, high, declared("cer").limit.allowed(1))

    def test_identical_weights_never_alarm(self, measured):
        """None of 300 pairwise comparisons between 25 evaluations of the same weights is red."""
        characters = unpack(measured["line_characters"])
        judged = [unpack(entry["line_edits"]) for entry in measured["same"]]
        words = Counter(
            self.word(before, after, characters) for i, before in enumerate(judged) for after in judged[i + 1 :]
        )

        assert words == {SAME: 300}

    def test_a_rise_of_a_fifth_of_a_point_is_always_caught(self, measured):
        """Noise that costs 0.2 points of CER net is detected 60 times out of 60, although some lines improve."""
        characters, before = unpack(measured["line_characters"]), unpack(measured["same"][0]["line_edits"])
        planted = [unpack(edits) for edits in measured["planted"]]
        rises = [(after.astype(int) - before).sum() / characters.sum() for after in planted]

        assert (len(planted), min(rises) >= 0.002, max(rises) < 0.0022) == (60, True, True)
        assert Counter(self.word(before, after, characters) for after in planted) == {WORSE: 60}
