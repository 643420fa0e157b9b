"""The gate's arithmetic: limits, intervals, sequential measurement."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.gate import sequential
from crnn.gate.limits import Limit, LimitError
from crnn.gate.measures import MEASURES, limits_of, parse
from crnn.gate.sequential import BETTER, SAME, UNCLEAR, WORSE, Reference, decide, measure, of

RATIOS = st.lists(st.floats(0.9, 1.1), min_size=3, max_size=8)


def taking(ratios):
    """A source of pairs with these ratios, in order."""
    source = iter(ratios)
    return lambda: {"": next(source)}


def verdict(reference, pairs):
    """The verdict on measured pairs."""
    return reference.verdict(of(pairs.screen, ""), of(pairs.confirmation, ""))


class TestLimits:
    def test_parses_fractions_and_units(self):
        """Limits may be fractions of a percent, percentage points, or off."""
        assert parse("relative_latency=2.5%, cer=0.1pp,memory=off") == {
            "relative_latency": Limit(2.5, "%"),
            "cer": Limit(0.1, "pp"),
            "memory": Limit(None),
        }

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("speed=5%", "no measurement 'speed'; there are: parameters"),
            ("latency=fast", "expected a number followed by % or pp, such as 2.5%, or off; found 'fast'"),
            ("latency", "expected a number"),
            ("latency=-5%", "expected a number"),
            ("relative_latency=0%", "needs a limit above 0 %"),
            ("relative_latency=3", "a limit for relative_latency is in %"),
            ("latency=0.1pp", "a limit for latency is in % or its own unit"),
        ],
    )
    def test_refuses_what_it_cannot_read(self, text, message):
        """A limit that cannot be read is an error that says what is expected."""
        with pytest.raises(LimitError, match=message):
            parse(text)

    def test_the_command_line_goes_over_the_registry_and_that_over_the_defaults(self):
        """A limit on the command line overrides the registry's, which overrides the default."""
        limits = limits_of({"latency": "8%", "bytes": "2%"}, {"bytes": Limit(3, "%")})

        assert (limits["latency"], limits["bytes"], limits["cer"]) == (Limit(8, "%"), Limit(3, "%"), Limit(0.1, "pp"))

    @pytest.mark.parametrize(
        ("limit", "before", "allowed"),
        [(Limit(5, "%"), 200, 10), (Limit(0.1, "pp"), 0.5, 0.001), (Limit(3), 7, 3), (Limit(None), 7, float("inf"))],
    )
    def test_allows_in_the_measurement_s_own_unit(self, limit, before, allowed):
        """A limit is converted to a change in the measurement's own unit."""
        assert limit.allowed(before) == pytest.approx(allowed)

    def test_names_are_told_apart(self):
        """Names are unique, and each default limit has a unit that the measurement's parser accepts."""
        names = [measure.name for measure in MEASURES]

        assert len(set(names)) == len(names)
        assert [measure.limit.unit in measure.units for measure in MEASURES] == [True] * len(names)


class TestDecide:
    @given(st.floats(-0.5, 0.5), st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0, 0.1))
    def test_says_what_the_interval_shows(self, change, below, above, allowed):
        """The verdict says whether the interval excludes the limit, or half of it, or neither."""
        low, high = change - below, change + above
        word = decide(change, low, high, allowed)

        assert (word in {SAME, BETTER}, word == WORSE, word == UNCLEAR) == (
            high <= allowed,
            high > allowed and low > allowed / 2,
            high > allowed and low <= allowed / 2,
        )

    def test_better_only_beyond_the_limit(self):
        """A change counts as a gain only if it is larger than the limit."""
        assert [decide(change, change, change, 0.05) for change in (-0.06, -0.03)] == [BETTER, SAME]


class TestSequential:
    BASELINE = (0.99, 1.0, 1.01, 1.0, 0.995, 1.005, 1.0, 1.0)

    def run(self, ratios, allowed=0.05):
        reference = Reference(self.BASELINE, allowed)
        pairs = measure(taking(ratios), [reference])
        return of(pairs.screen, ""), of(pairs.confirmation, ""), verdict(reference, pairs)

    def test_unchanged_code_stops_at_the_first_look(self):
        """If the first look gives a clear verdict, nothing more is measured."""
        assert self.run([1.0, 1.001] * 20) == ([1.0, 1.001], [], SAME)

    def test_a_slowdown_is_measured_again(self):
        """A slowdown is confirmed with a second set of fresh processes."""
        screen, confirmation, word = self.run([1.1, 1.101] * 20)

        assert (word, len(screen), len(confirmation)) == (WORSE, 2, 3)

    def test_what_the_second_set_does_not_show_is_no_slowdown(self):
        """A slowdown that fresh processes do not confirm is dropped."""
        assert self.run([1.1, 1.101, *[1.0] * 20])[2] == SAME

    def test_what_stayed_unclear_is_decided_by_both_sittings(self):
        """If the first sitting ends without a verdict, the pairs of a second one are added to its pairs."""
        first = [0.95, 1.05, 1.05, 0.95] * 5
        screen, confirmation, word = self.run([*first, *[1.0] * 20])
        alone = Reference(self.BASELINE, 0.05).word(first)

        assert (alone, word, len(screen), len(confirmation)) == (UNCLEAR, SAME, 20, 20)

    def test_one_look_has_no_second_sitting(self):
        """A quick run compares one pair, and leaves it at that."""
        reference = Reference(self.BASELINE, 0.05)
        pairs = sequential.screen(taking([1.3]), [reference], looks=sequential.QUICK_LOOKS)

        assert reference.word(of(pairs.screen, "")) == WORSE
        assert sequential.not_green([reference], pairs, sequential.QUICK_LOOKS) == []

    def test_what_drift_may_hide_is_not_green_where_a_commit_can_decide(self):
        """If pairs with the baseline's commit can decide, a part of the limit has to be excluded."""
        pairs = sequential.Pairs([{"": ratio} for ratio in (1.035, 1.036, 1.034, 1.035)])
        references = [Reference(self.BASELINE, 0.05, commit=commit) for commit in ("", "c0")]

        assert sequential.not_green(references, pairs) == references[1:]

    def test_two_pairs_with_a_commit_that_are_off_are_no_slowdown(self):
        """Direct pairs end early if they are green; a slowdown has to show in eight of them."""
        compared = [Reference(self.BASELINE, 0.05, commit="c0")]
        runs = [[1.1, 1.101, *[1.0, 1.001] * 20], [1.0, 1.001] * 20, [1.1, 1.101] * 20]
        found = [of(sequential.screen_directly(taking(run), compared).screen, "") for run in runs]

        assert [compared[0].direct.verdict(ratios, ()) for ratios in found] == [SAME, SAME, WORSE]
        assert [len(ratios) for ratios in found[1:]] == [3, 8]

    def test_pairs_with_a_commit_are_the_changes(self):
        """Pairs with the baseline's commit have nothing to be divided by, and the whole limit counts."""
        direct = Reference(self.BASELINE, 0.05, commit="c0").direct

        assert direct == Reference((), 0.05)
        assert [direct.word([ratio, ratio * 1.001] * 2) for ratio in (1.035, 1.06)] == [SAME, WORSE]

    def test_before_the_last_look_direct_pairs_exclude_a_part_of_the_limit(self):
        """A slowdown of nearly the limit does not end direct pairs as green."""
        direct, ratios = Reference((), 0.05), [1.043, 1.044] * 4

        assert [direct.word(ratios, last=last) for last in (False, True)] == [WORSE, SAME]

    def test_noise_is_never_a_pass(self):
        """If the spread is as large as the limit, all allowed pairs are measured and the verdict is unclear."""
        screen, _, word = self.run([0.8, 1.2, 1.2, 0.8] * 10)

        assert (word, len(screen)) == (UNCLEAR, sequential.SCREEN_LOOKS[-1])

    def test_without_a_baseline_it_measures_one(self):
        """A run without a baseline measures as many pairs as a baseline needs."""
        assert len(measure(taking(itertools.repeat(1.0)), [], {"": 0.05})) == sequential.BASELINE_LOOKS[0]

    def test_a_baseline_that_spreads_is_measured_longer(self):
        """Pairs that spread are added to a baseline until it resolves the limit, up to the last look."""
        spread = [0.97, 0.98, 1.03, 1.02, *[1.0] * 8]
        counts = [len(measure(taking(spread), [], {"": limit})) for limit in (0.08, 0.05, 0.01)]

        assert counts == [6, 9, 12]

    def test_two_baselines_both_have_to_be_answered(self):
        """A creep that passes against the newest baseline is red against the pinned one."""
        crept = [1.028, 1.03, 1.029, 1.031, 1.03, 1.029, 1.03, 1.03]
        newest, pinned = Reference(tuple(crept), 0.05), Reference(self.BASELINE, 0.05)
        pairs = measure(taking(itertools.cycle([1.06, 1.061, 1.059])), [newest, pinned])

        assert [verdict(reference, pairs) for reference in (newest, pinned)] == [SAME, WORSE]

    def test_a_slowdown_against_one_baseline_does_not_leave_the_other_without_a_verdict(self):
        """A slowdown against one baseline does not end the screening before the other one has a verdict."""
        spread = Reference((0.97, 1.09, 1.0, 1.06, 1.03, 1.0, 1.07, 1.02), 0.05)
        pinned = Reference(tuple(ratio / 1.05 for ratio in self.BASELINE), 0.05)
        pairs = measure(taking(itertools.cycle([1.02, 1.021, 1.019])), [spread, pinned])
        ratios = of(pairs.screen, "")[:3]
        early = [reference.word(ratios, last=False) for reference in (spread, pinned)]

        assert early == [UNCLEAR, WORSE]
        assert [verdict(reference, pairs) for reference in (spread, pinned)] == [SAME, WORSE]

    def test_a_creep_of_one_percent_a_commit_is_red_by_the_sixth(self):
        """A creep of 1 % per commit passes against each previous commit and fails against the pinned baseline."""
        random = np.random.default_rng(5)

        def processes(slowdown, count):
            return tuple(np.exp(random.normal(np.log(slowdown), 0.01, count)))

        pinned, newest, words = Reference(processes(1, 8), 0.05), Reference(processes(1, 8), 0.05), []
        for commit in range(1, 7):
            source = (processes(1.01**commit, 1)[0] for _ in itertools.count())
            pairs = measure(taking(source), [newest, pinned])
            words.append([verdict(reference, pairs) for reference in (newest, pinned)])
            newest = Reference(processes(1.01**commit, 8), 0.05)

        assert [word for word, _ in words] == [SAME] * 6
        assert WORSE in [word for _, word in words]

    def test_one_process_off_by_a_tenth_is_no_slowdown(self):
        """One process per run with an unlucky memory layout makes no run red."""
        random = np.random.default_rng(7)
        red = 0
        for _ in range(200):
            baseline = Reference(tuple(np.exp(random.normal(0, 0.01, 8))), 0.05)
            unlucky = random.integers(3)
            source = (np.exp(random.normal(0, 0.01)) * (1.1 if i == unlucky else 1) for i in itertools.count())
            red += verdict(baseline, measure(taking(source), [baseline])) == WORSE

        assert red == 0
