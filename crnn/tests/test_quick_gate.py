"""What the gate makes of a quick run."""

import pytest

from crnn.gate.limits import Limit
from crnn.gate.runs import compare_runs, limits_for, read
from crnn.tests.saved_runs import FOOTPRINT_INFO, GATE_INFO, run, write


def test_its_pairs_have_three_times_the_limit():
    """One pair per row resolves no smaller change; CER and size keep their limits."""
    full, quick = (limits_for({}, {}, quick=quick) for quick in (False, True))
    changed = {name: quick[name] for name in quick if quick[name] != full[name]}

    assert changed["relative_latency"] == Limit(15, "%")
    assert {"cer", "loss", "bytes", "parameters"} & changed.keys() == set()


def test_its_memory_has_no_limit_unless_one_is_given():
    """Memory grows with the largest batch size, which a quick run does not measure."""
    given = {"memory": Limit(10, "%")}

    assert limits_for({}, {}, quick=True)["memory"] == Limit(None)
    assert limits_for({}, given, quick=True)["memory"] == Limit(10, "%")


@pytest.mark.parametrize(("ratio", "words"), [(1.05, {"same"}), (1.3, {"same", "slower"})])
def test_one_pair_is_compared(tmp_path, ratio, words):
    """A quick run is compared with a full one: its one pair, and all but its memory."""
    footprint = FOOTPRINT_INFO | {"peak_memory_bytes": 10**9, "largest_batch_size_lines": 32}
    after = run(footprint=footprint, gate=GATE_INFO | {"gate_ratios": [ratio]})
    after["crnn"]["quick"] = True
    sides = [read(write(tmp_path / f"{name}.json", side)) for name, side in (("old", run()), ("new", after))]

    assert {verdict.word for verdict in compare_runs(*sides, {})} == words
