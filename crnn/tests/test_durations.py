"""Seconds of earlier runs, and the time left that follows from them."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.measure.durations import BUILDING, Accounts, Durations, Key, TimeLeft, spoken
from fixtures.visits import guesses, headline, overview, plan

seconds = st.floats(0, 1e6)
keys = st.builds(Key, st.sampled_from("abcdef"), st.sampled_from(["evaluate", "time"]))
A, B, C = (Key(name, "time") for name in "abc")


@st.composite
def runs(draw):
    """Draw a run: its planned visits, what is known of earlier ones, and what it took so far."""
    planned = draw(st.dictionaries(keys, seconds, min_size=1))
    left = TimeLeft(planned, draw(st.dictionaries(keys, seconds)))
    for key in draw(st.lists(st.sampled_from(list(planned)), unique=True)):
        left.finished(key, draw(seconds))
    return left, list(planned)


def items(*names):
    """Stand-ins for pytest's items: ``test[variant]``, or ``test`` without a variant."""
    for name in names:
        variant = name.partition("[")[2].removesuffix("]")
        called = {"callspec": SimpleNamespace(params={"variant": variant})} if variant else {}
        yield SimpleNamespace(name=name, nodeid=f"file::{name}", **called)


class TestTimeLeft:
    @given(runs(), st.data())
    def test_never_negative(self, run, data):
        """Whatever was expected and taken, no time left is negative, also of a visit that takes too long."""
        left, planned = run
        spent = {key.name: data.draw(seconds) for key in planned}

        assert left.left_s(planned) >= left.left_s(planned, spent.__getitem__) >= 0

    @given(runs())
    def test_nothing_remains(self, run):
        """Without remaining visits, the time left is exactly 0."""
        assert run[0].left_s([]) == 0

    @given(runs(), st.data())
    def test_fewer_visits_take_no_longer(self, run, data):
        """Taking visits away from the rest never increases the time left."""
        left, planned = run
        fewer = [key for key in planned if data.draw(st.booleans())]

        assert left.left_s(fewer) <= left.left_s(planned)

    @given(st.dictionaries(keys, st.floats(1, 1e6), min_size=1), st.data())
    def test_as_expected(self, earlier, data):
        """As long as visits take what they took earlier, the time left is the sum of the rest."""
        left = TimeLeft(dict.fromkeys(earlier, 45.0), earlier)
        done = [key for key in earlier if data.draw(st.booleans())]
        for key in done:
            left.finished(key, earlier[key])
        rest = [key for key in earlier if key not in done]

        assert left.left_s(rest) == pytest.approx(sum(earlier[key] for key in rest))

    def test_a_slower_machine(self):
        """If visits take three times what they took earlier, the rest is expected to take nearly as much."""
        earlier = {Key(str(index), "time"): 10.0 for index in range(20)}
        left, visits = TimeLeft(dict.fromkeys(earlier, 45.0), earlier), list(earlier)
        for key in visits[:10]:
            left.finished(key, 30.0)

        assert 250 < left.left_s(visits[10:]) < 300

    def test_a_new_row_is_like_the_others(self):
        """A visit that no earlier run had is expected to take their mean; rows that could not run do not count."""
        left = TimeLeft(dict.fromkeys([A, B, C], 45.0), {A: 10.0, B: 0.0, Key("gone", "time"): 20.0})

        assert (left.estimate_s(C), left.estimate_s(B), left.unknown) == (15.0, 0.0, {C})

    def test_visits_of_this_run_replace_a_guess(self):
        """If no earlier run is known, the mean of this run's visits of that kind is what the rest takes."""
        left = TimeLeft(dict.fromkeys([A, B, C], 45.0), {Key("a", "evaluate"): 3.0})
        before = left.estimate_s(C)
        left.finished(A, 5.0)
        left.finished(B, 7.0)

        assert (before, left.estimate_s(C)) == (45.0, 6.0)

    def test_a_row_that_has_begun(self):
        """The seconds already spent on a row are taken off its own share only."""
        left = TimeLeft(dict.fromkeys([A, B], 45.0), {A: 10.0, B: 20.0})

        assert [left.left_s([A, B], {"a": spent, "b": 0.0}.get) for spent in (4.0, 40.0)] == [26.0, 20.0]


class TestAccounts:
    @pytest.mark.parametrize(
        ("told", "a", "b"),
        [
            ([("a", "loading"), ("a", "timing batch 1")], 2, 0),
            ([("a", "loading"), ("b", "loading, process 1 of 3"), ("a", "timing batch 1")], 2, 1),
            ([("a", "building 9 conversions"), ("a", "building 9 conversions: one of them")], 0, 0),
            ([("a", "building: one"), ("a", "loading"), ("b", "building: two"), ("b", "loading")], 1, 1),
        ],
    )
    def test_each_row_is_charged_for_its_own(self, told, a, b):
        """Each activity takes one second here; conversions are charged to no row."""
        seconds = [0]
        accounts = Accounts(lambda: seconds[0])
        for name, activity in told:
            accounts.charge(name, activity)
            seconds[0] += 1

        assert (accounts.spent_s("a"), accounts.spent_s("b")) == (a, b)
        assert accounts.spent_s(BUILDING) == len(told) - a - b

    def test_what_is_settled_is_forgotten(self):
        """Settling resets a row to zero; a row that is being charged continues from there."""
        seconds = [0]
        accounts = Accounts(lambda: seconds[0])
        accounts.charge("a")
        seconds[0] = 3
        settled = accounts.settle_s("a")
        seconds[0] = 4

        assert (settled, accounts.spent_s("a")) == (3, 1)


class TestDurations:
    @given(st.dictionaries(st.builds(Key, st.text(), st.text()), seconds), st.text(), st.text())
    def test_what_is_kept_is_read(self, tmp_path_factory, kept, settings, others):
        """A later run with the same settings reads all seconds; one with other settings reads none."""
        path = tmp_path_factory.mktemp("cache") / "missing" / "durations.json"
        for key, value in kept.items():
            Durations(path, settings).keep(key, value)

        assert Durations(path, settings).earlier() == {key: round(value, 3) for key, value in kept.items()}
        assert others == settings or Durations(path, others).earlier() == {}

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b"\xff\xfe", b'{"": 1}', b'{"": {"a": 1}}', b"[" * 100_000]
        + [b'{"": {"a": {"time": %s}}}' % value for value in (b"-1", b"NaN", b"1e99", b"true", b'"1"', b"null")],
    )
    def test_a_damaged_file(self, tmp_path, content):
        """What cannot be read counts as unknown, and the next row replaces it."""
        (tmp_path / "durations.json").write_bytes(content)
        durations = Durations(tmp_path / "durations.json", "")

        assert durations.earlier() == {}
        durations.keep(B, 2.0)
        assert durations.earlier() == {B: 2.0}

    def test_no_partial_file(self, tmp_path):
        """The file is replaced as a whole; nothing else is left in its folder."""
        durations = Durations(tmp_path / "durations.json", "")
        durations.keep(A, 1.0)
        durations.keep(B, 2.0)

        assert [path.name for path in tmp_path.iterdir()] == ["durations.json"]
        assert json.loads((tmp_path / "durations.json").read_text()) == {"": {"a": {"time": 1.0}, "b": {"time": 2.0}}}

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        """A cache that cannot be written costs the memory, not the run."""
        (tmp_path / "file").write_text("")
        durations = Durations(tmp_path / "file" / "durations.json", "")
        durations.keep(A, 1.0)

        assert durations.earlier() == {}


class TestVisits:
    def test_places(self):
        """Visits are counted, also where a row comes again; tests without a variant have no place."""
        visits = plan(list(items("one[a]", "two[a]", "one[b]", "three", "two[c]", "two[b]", "two[b]")))

        assert [(visit.key, visit.place, len(visit.tests)) for visit in visits] == [
            (Key("a", "one, two"), "1/4", 2),
            (Key("b", "one"), "2/4", 1),
            (Key("three", "three"), "", 1),
            (Key("c", "two"), "3/4", 1),
            (Key("b", "two"), "4/4", 2),
        ]

    @given(st.lists(st.sampled_from(["one[a]", "two[a]", "one[b]", "two[b]", "three"])))
    def test_every_test_is_in_one_visit(self, names):
        """The visits hold all tests in their order."""
        assert [test for visit in plan(list(items(*names))) for test in visit.tests] == [f"file::{n}" for n in names]

    @pytest.mark.parametrize(("quick", "row_s"), [(True, 10), (False, 45)])
    def test_a_guess_is_per_row(self, quick, row_s):
        """The visits of a row share what a row is guessed to take."""
        guessed = guesses(plan(list(items("one[a]", "one[b]", "two[a]", "two[b]"))), quick)

        assert [guessed[Key("a", kind)] for kind in ("one", "two")] == [row_s / 2, row_s / 2]

    def test_overview(self):
        """The overview counts rows and their benchmarks, and says where the estimate comes from."""
        visits = plan(list(items("one[a]", "two[a]", "one[b]", "three")))
        unknown = {visit.key for visit in visits}

        assert (
            overview(visits, 840, unknown) == "2 rows, 1 to 2 benchmarks each; about 14 min (a guess: no earlier run)"
        )
        assert overview(visits[1:], 8, set()) == "1 row, 1 benchmark; about 8 s (from earlier runs on this machine)"

    def test_headline(self):
        """Known numbers are shown with two digits at least; other records add nothing."""
        infos = [
            {"cer_fraction": 0.00724},
            {"file_bytes": 3},
            {"batch_size_lines": 1, "latency_median_s": 0.00531},
            {"batch_size_lines": 128, "latency_median_s": 1.09548},
        ]

        assert headline(infos) == "CER 0.72 %, batch 1: 5.3 ms, batch 128: 1095 ms"

    @pytest.mark.parametrize(
        ("value", "text"), [(0, "0 s"), (89.4, "89 s"), (89.6, "1 min"), (3569, "59 min"), (7500, "2 h 05 min")]
    )
    def test_spoken(self, value, text):
        """Durations have the unit that a reader would choose."""
        assert spoken(value) == text
