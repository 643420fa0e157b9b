"""The recommendation: the fastest row within limits, its ties, why others fell, what would change the answer."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.__main__ import main
from crnn.report import advice, criteria
from crnn.report.criteria import CRITERIA
from crnn.report.recommendation import Change, Fallen, Wish, recommend
from crnn.report.results import ReportError, Results
from crnn.tests.saved_rows import ACCURACY, FOOTPRINT, SMALL_BATCH, entries, times


def row(name, factor, *, cer=0.007, size=6_000_000, memory=400_000_000, p95=None):
    """The benchmarks of a row that takes ``factor`` milliseconds."""
    latency = replace(
        times(SMALL_BATCH, factor), latency_median_s=0.001 * factor, peak_memory_bytes=memory, latency_p95_s=p95
    )
    accuracy = replace(ACCURACY, cer_fraction=cer, cer_difference_to_original_fraction=cer - 0.007)
    return entries(name, latency, accuracy, replace(FOOTPRINT, file_bytes=size))


def results(*rows):
    """The results of rows."""
    return Results.read([entry for one in rows for entry in one])


# The original, a smaller and faster one, one that is as fast, one that is fastest but reads worse, and a bad one.
FIVE = (
    row("original", 4.0),
    row("small", 2.0, cer=0.0075, size=3_000_000),
    row("same", 2.01, cer=0.0074, size=3_500_000),
    row("rough", 1.0, cer=0.009, size=1_500_000),
    row("bad", 5.0, cer=0.010, size=9_000_000, memory=900_000_000),
)


def wish(limits="", minimize="latency"):
    """What a user asks for with one line per call."""
    return Wish(1, criteria.parse(limits), minimize)


class TestRule:
    def test_the_fastest_within_limits_wins(self):
        """The fastest row that keeps the limit on CER wins, not the fastest of all."""
        assert recommend(results(*FIVE), wish()).winner.name == "rough"
        assert recommend(results(*FIVE), wish("cer=0.8%")).winner.name == "small"

    def test_ties_are_named(self):
        """A row whose difference to the winner is not shown is a tie."""
        found = recommend(results(*FIVE), wish("cer=0.8%"))

        assert [one.name for one in found.ties] == ["same"]

    def test_each_other_row_has_a_reason(self):
        """Rows fall over a limit, are dominated, or are slower though better in something."""
        found = recommend(results(*FIVE), wish("cer=0.8%,memory=500MB"))

        assert set(found.fallen) == {
            Fallen("original", "2.00 times the latency, though better in CER 0.70 %"),
            Fallen("rough", "CER 0.90 %, limit 0.80 %"),
            Fallen("bad", "CER 1.00 %, limit 0.80 %; memory 900 MB, limit 500 MB"),
        }

    def test_a_dominated_row(self):
        """A row that is better in nothing than the winner says so."""
        [reason] = [one.reason for one in recommend(results(*FIVE), wish()).fallen if one.name == "bad"]

        assert reason == "5.00 times the latency, and better in nothing that counts"

    def test_what_would_change_the_answer(self):
        """It names the nearest looser limit at which a faster row wins, and the nearest at which the winner falls."""
        changes = recommend(results(*FIVE), wish("cer=0.8%")).changes

        assert changes == (
            Change("cer", 0.009, True, "rough", pytest.approx(0.5)),
            Change("cer", 0.0075, False, "same", pytest.approx(1.005)),
        )

    def test_equal_times(self):
        """Of two rows that take the same time, the one with the lower CER wins."""
        found = recommend(results(row("one", 2.0), row("two", 2.0, cer=0.006)), wish())

        assert found.winner.name == "two"

    def test_one_process(self):
        """Without intervals nothing is said about ties, and the answer says why."""
        single = replace(times(SMALL_BATCH, 1.0), anchor_ratios=[1.0])
        slower = replace(times(SMALL_BATCH, 1.0), anchor_ratios=[1.01], latency_median_s=0.00101)
        rows = (entries("one", single, ACCURACY, FOOTPRINT), entries("two", slower, ACCURACY, FOOTPRINT))

        found = recommend(results(*rows), wish())

        assert (found.winner.name, found.ties, found.certain) == ("one", (), False)
        assert "one process per row" in advice.headline(found)

    def test_a_percentile_that_few_rows_have(self):
        """A row without enough calls for a 95th percentile falls with what to do; one that has it wins."""
        found = recommend(results(row("few", 1.0), row("many", 2.0, p95=0.003)), wish(minimize="p95"))

        assert found.winner.name == "many"
        assert found.fallen == (
            Fallen("few", "no p95: a 95th percentile needs 59 timed calls: add processes with --processes"),
        )

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.tuples(*[st.integers(1, 4)] * 4).map(lambda values: [float(value) for value in values]),
            min_size=1,
            max_size=8,
        ),
        st.tuples(*[st.none() | st.integers(1, 4)] * 3),
    )
    def test_never_a_dominated_row(self, rows, most):
        """No row that keeps the limits is at least as good as the winner in everything and better in something."""
        made = [
            row(f"row-{at}", factor, cer=0.001 * cer, size=int(1e6 * size), memory=int(1e8 * memory))
            for at, (factor, cer, size, memory) in enumerate(rows)
        ]
        scale = {"cer": 0.001, "bytes": 1e6, "memory": 1e8}
        limits = {name: scale[name] * value for name, value in zip(scale, most, strict=True) if value}
        keeping = [
            values
            for values in rows
            if all(value is None or values[at] <= value for at, value in zip((1, 2, 3), most, strict=True))
        ]

        try:
            winner = recommend(results(*made), Wish(1, limits)).winner.name
        except ReportError:
            assert keeping == []
        else:
            won = rows[int(winner.partition("-")[2])]
            better = [one for one in keeping if one != won and all(a <= b for a, b in zip(one, won, strict=True))]
            assert (won in keeping, better) == (True, [])

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(*[st.integers(1, 6)] * 2), min_size=2, max_size=6), st.integers(1, 6))
    def test_changes_come_true(self, rows, most):
        """With each looser limit that is named the named row wins."""
        made = results(*(row(f"row-{at}", float(f), cer=0.001 * c) for at, (f, c) in enumerate(rows)))
        try:
            found = recommend(made, Wish(1, {"cer": 0.001 * most}))
        except ReportError:
            return
        for change in found.changes:
            if change.relaxed:
                assert recommend(made, Wish(1, {"cer": change.limit})).winner.name == change.winner


class TestOnly:
    def test_rows_to_choose_among(self):
        """Only rows that match a pattern are considered."""
        found = recommend(results(*FIVE).only(("s*", "bad")), wish())

        assert (found.winner.name, [one.name for one in found.fallen]) == ("small", ["bad"])

    def test_no_row_matches(self):
        """Patterns without a match list the rows."""
        with pytest.raises(ReportError, match="no row matches x; there are: bad, original, rough, same, small"):
            results(*FIVE).only(("x",))


class TestLimits:
    def test_units(self):
        """Limits are read in their units."""
        assert criteria.parse("memory=500MB, bytes=3MiB,cer_loss=0.1pp,latency=2ms,parameters=1.5M") == pytest.approx(
            {"memory": 5e8, "bytes": 3 * 2**20, "cer_loss": 0.001, "latency": 0.002, "parameters": 1.5e6}
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("memory=500", "--max memory=500: memory needs a unit, one of B, KB, MB, GB, KIB, MIB, GIB"),
            ("cer=0.1", "--max cer=0.1: cer needs a unit, one of pp, %"),
            ("speed=3", "no criterion 'speed'; there are: latency, p95, cost, cer"),
            ("memory", "--max 'memory': expected NAME=NUMBER and a unit, such as memory=500MB"),
            ("memory=1.2.3MB", "--max memory=1.2.3MB: '1.2.3' is no number"),
        ],
    )
    def test_bad_limits(self, text, message):
        """A limit that cannot be read is named, with what would be right."""
        with pytest.raises(ReportError) as error:
            criteria.parse(text)

        assert message in str(error.value)

    def test_an_impossible_limit(self):
        """A limit that no row keeps names the row that comes closest."""
        with pytest.raises(ReportError, match=r"no row has bytes of at most 1\.00 MB: the least is 1\.50 MB, of rough"):
            recommend(results(*FIVE), wish("bytes=1MB"))

    def test_limits_that_exclude_each_other(self):
        """Limits that each some row keeps, but none all, are named together."""
        with pytest.raises(ReportError, match=r"no row keeps all limits at once: bytes 2\.00 MB, CER 0\.75 %"):
            recommend(results(*FIVE), wish("bytes=2MB,cer=0.75%"))

    def test_a_batch_size_that_was_not_measured(self):
        """The sizes that were measured are listed."""
        with pytest.raises(ReportError, match="batch 7 was not measured; measured: 1"):
            recommend(results(*FIVE), Wish(7, {}))

    def test_rows_without_latency(self):
        """A run of accuracy alone cannot recommend anything."""
        with pytest.raises(ReportError, match="batch 1 was not measured; no latency was"):
            recommend(results(entries("one", ACCURACY)), wish())


class TestWords:
    def test_the_answer(self):
        """The answer names limits, winner and ties; then the ties' figures, changes and reasons."""
        text = advice.text(recommend(results(*FIVE), wish("cer=0.8%")))

        assert text.splitlines()[0].startswith(
            "With 1 line per call and CER at most 0.80 %, ship small: latency 2 ms, CER 0.75 %, memory 400 MB"
        )
        assert "No difference in latency to it is shown for: same." in " ".join(text.split())
        assert "same, 1.00 times the latency: latency 2.01 ms" in text
        assert "with CER of 0.90 % allowed, rough wins (0.50 times the latency)" in text
        assert "with CER below 0.75 % required, same wins" in text

    def test_every_criterion_can_be_shown(self):
        """Each criterion formats a value."""
        assert [one.name for one in CRITERIA.values() if not one.shown(1.5)] == []

    def test_the_command(self, tmp_path, capsys):
        """``recommend`` prints the answer of a saved run; a broken file is named."""
        import json

        path = tmp_path / "run.json"
        path.write_text(json.dumps({"benchmarks": [entry for one in FIVE for entry in one]}))
        other = tmp_path / "other.json"
        other.write_text("{}")

        statuses = main(["recommend", str(path), "--batch", "1"]), main(["recommend", str(other), "--batch", "1"])

        output = capsys.readouterr()
        assert statuses == (0, 1)
        assert output.out.startswith("With 1 line per call and no limits, ship rough")
        assert output.err == f"error: {other}: not a pytest-benchmark JSON\n"
