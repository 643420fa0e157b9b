"""What is not green at first runs again at the end of the session."""

from types import SimpleNamespace

import pytest

from fixtures.sittings import FIRST, POSTPONED, SEARCH, First, Postponed, first_of, is_postponed, postpone, put_off


@pytest.fixture
def items():
    """The tests of a session, as far as sittings see them; the last one searches for what is missing."""
    session, config = SimpleNamespace(items=[]), SimpleNamespace(stash={FIRST: {}})
    for name in ("one", "other", SEARCH):
        marker = {name: True}.get
        session.items.append(SimpleNamespace(nodeid=name, session=session, config=config, get_closest_marker=marker))
    return session.items


def test_what_was_measured_is_kept(items):
    """A test that goes on later finds what it measured at first."""
    first = First("meter", "pairs")
    with pytest.raises(Postponed):
        postpone(items[0], first)

    assert (first_of(items[0]), first_of(items[1])) == (first, None)


def test_the_last_test_is_not_postponed(items):
    """Where no other test follows there is nothing to wait for."""
    postpone(items[-1], First("meter", "pairs"))

    assert first_of(items[-1]) is None


def test_it_runs_again_before_the_search_for_what_is_missing(items):
    """A postponed test runs behind all others that measure."""
    report = SimpleNamespace(outcome="skipped", longrepr=("", 1, "Skipped"))
    put_off(items[0], report)

    assert [item.nodeid for item in items] == ["one", "other", "one", SEARCH]
    assert (report.outcome, report.longrepr) == (POSTPONED, None)


def test_a_skip_is_not_postponed():
    """A test that is skipped for another reason does not run again."""
    calls = [
        SimpleNamespace(excinfo=SimpleNamespace(value=value)) for value in (Postponed(""), pytest.skip.Exception(""))
    ]

    assert [is_postponed(call) for call in [*calls, SimpleNamespace(excinfo=None)]] == [True, False, False]
