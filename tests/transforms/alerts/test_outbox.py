"""An outbox delivers or refuses every alert once, whatever its channel does."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.schemas.alert import Failed, Incident
from eddyline.schemas.alert_channel import Limits
from eddyline.transforms.alerts.outbox import (
    CAPACITY,
    Outbox,
    decode_outbox,
    encode_outbox,
    wait_before,
)

T0 = 1_767_312_000.0
LIMITS = Limits(timeout=5.0, attempts=4, age=1000.0, rate=1.0, burst=3, failures=3, pause=60.0)


def incident(name="a", revision=0, transition="opened") -> Incident:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    return Incident(
        incident_id=name, revision=revision, transition=transition, kind="event",
        severity="error", event_time=at, opened_at=at, last_seen=at, count=1, duration=0.0,
        explanation="too warm",
    )  # fmt: skip


def begun(outbox, now, limits=LIMITS) -> list[str]:
    return [queued.incident.key for queued in outbox.begin(limits, now)]


def busy(status="503", retry_after=None) -> Failed:
    return Failed("busy", status=status, retry_after=retry_after)


REFUSED = Failed("no such room", status="404", permanent=True)


def test_a_delivered_alert_leaves_and_is_not_taken_again():
    outbox = Outbox()
    assert outbox.add(incident(), T0)
    assert begun(outbox, T0) == ["a:0:opened"]
    settled = outbox.settle("a:0:opened", None, LIMITS, T0 + 1)
    assert (settled.outcome, settled.attempt) == ("delivered", 1)
    assert not outbox.add(incident(), T0 + 2)
    assert outbox.when(LIMITS) is None


def test_a_failure_that_may_pass_is_tried_again_after_its_wait():
    outbox = Outbox()
    outbox.add(incident(), T0)
    outbox.begin(LIMITS, T0)
    assert outbox.settle("a:0:opened", busy(), LIMITS, T0).outcome == "retried"
    when = outbox.when(LIMITS)
    assert when == T0 + wait_before("a:0:opened", 1, LIMITS)
    assert begun(outbox, when - 0.001) == []
    assert begun(outbox, when) == ["a:0:opened"]


def test_waits_grow_within_their_bound_and_differ_between_alerts():
    limits = Limits(first_wait=1.0, longest_wait=10.0)
    many = [[wait_before(f"a{n}:0:opened", k, limits) for n in range(200)] for k in (1, 3, 30)]
    assert [max(waits) <= bound for waits, bound in zip(many, (1.0, 4.0, 10.0), strict=True)]
    assert [round(sum(waits) / 200) for waits in many[1:]] == [2, 5]
    assert len(set(many[0])) == 200


def test_retry_after_holds_the_whole_channel_and_is_capped():
    outbox = Outbox()
    outbox.add(incident("a"), T0)
    outbox.add(incident("b"), T0)
    outbox.begin(LIMITS, T0)
    outbox.settle("a:0:opened", busy("429", retry_after=30.0), LIMITS, T0)
    outbox.untried("b:0:opened")
    assert outbox.when(LIMITS) == T0 + 30.0
    assert begun(outbox, T0 + 29.9) == []
    assert begun(outbox, T0 + 30.0) == ["a:0:opened", "b:0:opened"]
    outbox.settle("a:0:opened", busy("429", retry_after=1e9), LIMITS, T0 + 30)
    assert outbox.closed_until == T0 + 30 + LIMITS.longest_wait


def test_a_permanent_failure_is_refused_at_once_and_the_next_goes_on():
    outbox = Outbox()
    outbox.add(incident("a"), T0)
    outbox.add(incident("b"), T0)
    outbox.begin(LIMITS, T0)
    settled = outbox.settle("a:0:opened", REFUSED, LIMITS, T0)
    assert (settled.outcome, settled.reason, settled.status) == ("refused", "alert_refused", "404")
    assert outbox.settle("b:0:opened", None, LIMITS, T0).outcome == "delivered"


def test_attempts_run_out():
    outbox, now, outcomes = Outbox(), T0, []
    outbox.add(incident(), T0)
    while outbox.queue:
        now = outbox.when(LIMITS)
        if begun(outbox, now):
            settled = outbox.settle("a:0:opened", busy(), LIMITS, now)
            outcomes.append((settled.attempt, str(settled.outcome), settled.reason))
    assert outcomes == [
        (1, "retried", ""), (2, "retried", ""), (3, "retried", ""), (4, "refused", "alert_expired"),
    ]  # fmt: skip


def test_what_waits_too_long_behind_an_open_breaker_expires_untried():
    outbox = Outbox(failures=3, closed_until=T0 + 1e6)
    outbox.add(incident(), T0)
    assert outbox.when(LIMITS) == T0 + LIMITS.age
    assert outbox.expire(LIMITS, T0 + LIMITS.age - 1) == []
    (settled,) = outbox.expire(LIMITS, T0 + LIMITS.age)
    assert (settled.outcome, settled.reason, settled.attempt) == ("refused", "alert_expired", 0)
    assert outbox.queue == []


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_through_then():
    outbox, limits = Outbox(), Limits(failures=3, pause=60.0, burst=10, first_wait=0.001)
    for name in "abcde":
        outbox.add(incident(name), T0)
    keys = begun(outbox, T0, limits)
    assert len(keys) == 5
    for key in keys[:3]:
        outbox.settle(key, busy(), limits, T0)
    for key in keys[3:]:
        outbox.untried(key)
    assert begun(outbox, T0 + 59.9, limits) == []
    assert outbox.when(limits) == T0 + 60.0
    assert len(begun(outbox, T0 + 60.0, limits)) == 1
    assert begun(outbox, T0 + 60.0, limits) == [], "one at a time while it is half open"
    outbox.settle("a:0:opened", None, limits, T0 + 61.0)
    assert len(begun(outbox, T0 + 61.0, limits)) == 4


def test_a_burst_goes_at_once_and_the_rest_by_the_rate():
    outbox = Outbox()
    for number in range(6):
        outbox.add(incident(f"{number}"), T0)
    assert len(begun(outbox, T0)) == LIMITS.burst
    assert outbox.when(LIMITS) == pytest.approx(T0 + 1.0, abs=1e-3)
    assert len(begun(outbox, T0 + 1.0)) == 1
    assert len(begun(outbox, T0 + 60.0)) == 2


@given(st.floats(0.001, 1e4), st.floats(0.0, 1e4), st.floats(0.0, 10.0))
def test_when_is_never_too_early(rate, start, pause):
    outbox, limits = Outbox(), Limits(rate=rate, burst=1, age=1e9)
    for name in "abc":
        outbox.add(incident(name), T0 + start)
    now = T0 + start
    assert len(begun(outbox, now, limits)) == 1
    begun(outbox, now + min(pause, 0.5 / rate), limits)
    outbox.settle("a:0:opened", None, limits, now)
    assert len(begun(outbox, outbox.when(limits), limits)) == 1


def test_alerts_of_one_incident_keep_their_order():
    outbox = Outbox()
    outbox.add(incident("a", 0, "opened"), T0)
    outbox.add(incident("a", 1, "resolved"), T0)
    outbox.add(incident("b"), T0)
    assert begun(outbox, T0) == ["a:0:opened", "b:0:opened"]
    outbox.settle("a:0:opened", busy(), LIMITS, T0)
    assert begun(outbox, T0) == []
    later = outbox.when(LIMITS)
    assert begun(outbox, later) == ["a:0:opened"]
    outbox.settle("a:0:opened", None, LIMITS, later)
    assert begun(outbox, later + 5) == ["a:1:resolved"]


def test_an_attempt_whose_worker_is_gone_is_lost_and_told_when():
    outbox = Outbox()
    outbox.add(incident(), T0)
    outbox.begin(LIMITS, T0)
    when = outbox.when(LIMITS)
    assert when == T0 + LIMITS.timeout + 10.0
    assert outbox.lost(when - 1) == []
    assert outbox.lost(when) == ["a:0:opened"]


def test_a_full_outbox_refuses_what_does_not_fit():
    outbox = Outbox()
    for number in range(CAPACITY):
        outbox.add(incident(f"{number}"), T0)
    assert outbox.full()
    settled = outbox.overflow(incident("one more"))
    assert (settled.outcome, settled.reason, settled.attempt) == ("refused", "alert_unsent", 0)


def test_state_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version"):
        decode_outbox(b"\x63" + encode_outbox(Outbox())[1:])


ANSWERS = st.sampled_from(["ok", "busy", "429", "no", "untried", "gone"])
STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(0.0, 40.0), ANSWERS), min_size=1, max_size=60
)


@dataclass
class Seen:
    added: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    outcomes: list[tuple] = field(default_factory=list)


def drive(steps, *, reencode) -> Seen:
    """Add, try and settle by the steps, then with a peer that is well until nothing is left."""
    outbox, seen, now, revisions = Outbox(), Seen(), T0, dict.fromkeys("abc", 0)

    def settle(key, answer):
        failed = {"ok": None, "busy": busy(), "429": busy("429", 7.0), "no": REFUSED}[answer]
        closed = outbox.closed_until
        assert now >= closed, "tried while the breaker was open"
        told = outbox.settle(key, failed, LIMITS, now)
        seen.outcomes.append((key, told.attempt, str(told.outcome), told.reason))
        if told.outcome != "retried":
            seen.settled.append(key)

    def expire():
        for told in outbox.expire(LIMITS, now):
            seen.settled.append(told.incident.key)

    for name, pause, answer in steps:
        if reencode:
            outbox = decode_outbox(encode_outbox(outbox))
        now += pause
        alert = incident(name, revisions[name], "updated")
        assert outbox.add(alert, now)
        seen.added.append(alert.key)
        revisions[name] += 1
        for key in outbox.lost(now):
            told = outbox.settle(key, busy("lost"), LIMITS, now)
            seen.settled += [key] if told.outcome == "refused" else []
        expire()
        for queued in outbox.begin(LIMITS, now):
            key = queued.incident.key
            if answer == "untried":
                outbox.untried(key)
            elif answer != "gone" and now >= outbox.closed_until:
                settle(key, answer)
            elif answer != "gone":
                outbox.untried(key)
    steps_left = 100_000
    while (when := outbox.when(LIMITS)) is not None:
        steps_left -= 1
        assert steps_left, "it spins"
        now = max(now, when)
        for key in outbox.lost(now):
            told = outbox.settle(key, busy("lost"), LIMITS, now)
            seen.settled += [key] if told.outcome == "refused" else []
        expire()
        for queued in outbox.begin(LIMITS, now):
            settle(queued.incident.key, "ok")
    return seen


@given(STEPS)
def test_every_alert_is_settled_once_in_the_order_of_its_incident(steps):
    seen = drive(steps, reencode=False)
    assert sorted(seen.settled) == sorted(seen.added)
    for name in "abc":
        mine = [key for key in seen.settled if key.startswith(name)]
        assert mine == [key for key in seen.added if key.startswith(name)]


@given(STEPS)
def test_going_through_state_changes_nothing(steps):
    assert drive(steps, reencode=True) == drive(steps, reencode=False)
