"""Patience, order and waits, by a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.rows.resend import FIRST_WAIT, LONGEST_WAIT, Outcome, Problem, resend


class Clock:
    def __init__(self):
        self.now, self.waits = 0.0, []

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    def run(self, attempt, items, patience):
        return resend(attempt, items, patience, lambda: self.now, self.sleep)


def again(items):
    return Outcome(again=[Problem(item, "unavailable", "503") for item in items])


def test_an_outage_is_outlasted_to_the_end_of_the_patience_and_not_longer():
    clock = Clock()
    tried = []

    def attempt(items):
        tried.append(clock.now)
        return again(items) if clock.now < 60 else Outcome()

    assert clock.run(attempt, ["a"], 60) == Outcome()
    assert tried[-1] == 60
    clock = Clock()
    assert [p.item for p in clock.run(again, ["a", "b"], 60).again] == ["a", "b"]
    assert clock.now == pytest.approx(60)


def test_waits_grow_and_are_bounded():
    clock = Clock()
    clock.run(again, ["a"], 600)
    assert FIRST_WAIT / 2 <= clock.waits[0] <= FIRST_WAIT
    assert max(clock.waits) <= LONGEST_WAIT
    assert len(clock.waits) < 300


def test_as_long_as_something_is_taken_patience_does_not_end():
    clock = Clock()

    def one_at_a_time(items):
        clock.now += 50
        return again(items[1:])

    assert clock.run(one_at_a_time, list(range(20)), 60) == Outcome()


def test_what_was_held_up_by_a_refused_item_goes_at_once():
    clock = Clock()
    outcomes = iter([Outcome([Problem("b", "refused", "")], again(["a"]).again), Outcome()])
    assert [p.item for p in clock.run(lambda _: next(outcomes), ["a", "b"], 60).refused] == ["b"]
    assert clock.waits == []


def test_nothing_to_send_is_one_attempt():
    assert Clock().run(again, [], 1) == Outcome()


@given(
    st.lists(st.sampled_from("tra"), max_size=60),
    st.randoms(use_true_random=False),
)
def test_every_item_is_taken_or_told_once_and_the_order_is_kept(fates, random):
    """Fates: t is taken, r is refused, a is taken after some attempts."""
    clock, taken = Clock(), []

    def attempt(items):
        assert list(items) == sorted(items)
        outcome = Outcome()
        for item in items:
            fate = fates[item]
            if fate == "r":
                outcome.refused.append(Problem(item, "refused", ""))
            elif fate == "t" or random.random() < 0.5:
                taken.append(item)
            else:
                outcome.again.append(Problem(item, "unavailable", ""))
        return outcome

    outcome = clock.run(attempt, range(len(fates)), 1e9)
    assert outcome.again == []
    assert sorted(taken + [p.item for p in outcome.refused]) == list(range(len(fates)))
