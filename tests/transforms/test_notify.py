"""Every transition is told once a channel, or is a dead letter; no channel holds up another one."""

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.schemas.alert import Failed, Incident
from eddyline.schemas.alert_channel import (
    AlertChannel,
    FileChannel,
    Limits,
    MessageSettings,
    PagerdutyChannel,
    StdoutChannel,
)
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import load_contract
from eddyline.transforms.alerts.alert_message import example
from eddyline.transforms.alerts.delivery_rows import Undelivered
from eddyline.transforms.alerts.outbox import decode_outbox
from eddyline.transforms.notify import Deliver, DeliverAll, Delivery, route

INCIDENT = arrow_schema(load_contract("room").record("incident"))
T0 = 1_767_362_590.0
AT = datetime(2026, 1, 2, 14, 3, tzinfo=UTC)
FAST = Limits(
    timeout=1.0, attempts=3, age=1e6, first_wait=0.01, longest_wait=0.02, rate=1e4, burst=100,
    failures=1000,
)  # fmt: skip


def incident(name="a", revision=0, transition="opened", **values) -> Incident:
    given = {"incident_id": name, "arrival_time": AT - timedelta(seconds=1), **values}
    return msgspec.structs.replace(example(transition, revision=revision), **given)


def batch_of(*incidents) -> pa.RecordBatch:
    rows = [msgspec.structs.asdict(incident) for incident in incidents]
    return pa.RecordBatch.from_pylist(rows, schema=INCIDENT)


@dataclass
class Fixed:
    """A policy of no file: everything to every channel, or by severity; mutes a site."""

    channels: dict[str, AlertChannel]
    by_severity: dict[str, tuple[str, ...]] = field(default_factory=dict)
    muted_site: str = ""
    messages: MessageSettings = field(default_factory=MessageSettings)

    def current(self):
        return self

    def routes(self, row):
        return self.by_severity.get(row["severity"], tuple(self.channels))

    def muted(self, row):
        return "maintenance" if self.muted_site and row["site"] == self.muted_site else None


class Scripted:
    """A channel that answers as it is told; the last answer from then on."""

    def __init__(self, *answers):
        self.answers, self.sent = list(answers or ["ok"]), []
        self.lock, self.release = threading.Lock(), threading.Event()

    def send(self, alert):
        with self.lock:
            self.sent.append(alert.key)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "hang":
            self.release.wait(30)
            raise Failed("no answer", status="timeout")
        if answer == "slow":
            time.sleep(0.3)
        elif answer == "no":
            raise Failed("no such room", status="404", permanent=True)
        elif answer == "busy":
            raise Failed("busy", status="503")
        return "200"


class Clock:
    """A clock that moves by sleeping alone."""

    def __init__(self):
        self.now = T0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds


def delivery_of(policy, senders, clock=time.time, sleep=time.sleep, **values) -> Delivery:
    """The channels of the policy are files whose path names the scripted sender."""
    return Delivery(lambda: policy, lambda config: senders[config.path], clock, sleep, **values)


def scripted(senders, limits=FAST, **values):
    channels = {name: FileChannel(path=name, limits=limits) for name in senders}
    return Fixed(channels, **values)


def run_all(incidents, senders, limits=FAST, clock=None, patience=60.0, **values):
    """The bounded form, without a runner."""
    clock = clock or Clock()
    policy = scripted(senders, limits, **values)
    deliver = DeliverAll(delivery_of(policy, senders, clock, clock.sleep, patience=patience))
    deliver.setup()
    routed, muted = route(batch_of(*incidents), policy, clock())
    told, dead = list(muted), []
    for output in deliver.process((0, routed)):
        rows = getattr(output, "value", output).to_pylist()
        (dead if "stage" in rows[0] else told).extend(rows)
    return told, dead


def outcomes(rows, channel=None):
    return [
        (row["key"], row["attempt"], row["outcome"])
        for row in rows
        if channel in (None, row["channel"])
    ]


# Routes.


def test_rows_go_to_the_channels_of_their_route_in_order():
    policy = Fixed(
        {"chat": StdoutChannel(), "pager": StdoutChannel()},
        {"critical": ("chat", "pager"), "info": ()},
    )
    rows = batch_of(
        incident("a", severity="critical"),
        incident("b", severity="info"),
        incident("c", severity="critical"),
    )
    routed, muted = route(rows, policy, T0)
    found = {name: batch.column("incident_id").to_pylist() for name, batch in routed}
    assert found == {"chat": ["a", "c"], "pager": ["a", "c"]}
    assert muted == []


def test_members_of_a_storm_and_what_operators_said_are_not_told():
    policy = Fixed(
        {"chat": StdoutChannel(), "pager": PagerdutyChannel(routing_key="env:KEY")},
    )
    rows = batch_of(
        incident("a", storm_id="s"),
        incident("b", 1, "acknowledged"),
        incident("c", 1, "confirmed"),
        incident("d", 1, "false_alarm"),
        incident("e", 1, "updated"),
    )
    routed, _ = route(rows, policy, T0)
    found = {name: batch.column("incident_id").to_pylist() for name, batch in routed}
    assert found == {"chat": ["e"], "pager": ["b", "e"]}


def test_a_muted_transition_is_a_delivery_that_was_not_made():
    told, dead = run_all(
        [incident("a"), incident("b", site="elsewhere")],
        {"chat": Scripted(), "mail": Scripted()},
        muted_site="Test",
    )
    muted = [row for row in told if row["outcome"] == "muted"]
    assert outcomes(muted) == [("a:0:opened", 0, "muted")] * 2
    assert {row["channel"] for row in muted} == {"chat", "mail"}
    assert {row["status"] for row in muted} == {"maintenance"}
    assert [row["key"] for row in told if row["outcome"] == "delivered"] == ["b:0:opened"] * 2
    assert dead == []


# The bounded form.


def test_a_delivery_says_how_long_it_took_and_since_when():
    clock = Clock()
    (row,), _ = run_all([incident()], {"chat": Scripted()}, clock=clock)
    assert row["since_arrival"] == pytest.approx(T0 - (AT.timestamp() - 1))
    assert (row["latency"], row["status"], row["attempt"]) == (0.0, "200", 1)
    assert row["attempted_at"] == datetime.fromtimestamp(T0, UTC)


def test_it_is_tried_again_until_it_is_delivered():
    told, dead = run_all([incident()], {"chat": Scripted("busy", "busy", "ok")})
    assert outcomes(told) == [
        ("a:0:opened", 1, "retried"), ("a:0:opened", 2, "retried"), ("a:0:opened", 3, "delivered"),
    ]  # fmt: skip
    assert dead == []


def test_a_dead_letter_has_the_alert_and_why():
    told, (dead,) = run_all([incident()], {"chat": Scripted("no")})
    assert outcomes(told) == [("a:0:opened", 1, "refused")]
    assert (dead["stage"], dead["reason"], dead["error"]) == (
        "notify", "alert_refused", "no such room",
    )  # fmt: skip
    again = msgspec.json.decode(dead["payload"], type=Undelivered)
    assert again == Undelivered(channel="chat", incident=incident())
    assert dict(dead["attributes"]) == {
        "channel": "chat", "key": "a:0:opened", "status": "404", "attempts": "1",
    }  # fmt: skip
    assert dead["position"] == "a:0:opened"


def test_a_bounded_run_gives_up_after_its_patience():
    limits = Limits(attempts=1000, failures=1000, first_wait=8.0, longest_wait=8.0)
    clock = Clock()
    told, dead = run_all([incident()], {"chat": Scripted("busy")}, limits, clock, patience=60.0)
    assert [row["reason"] for row in dead] == ["alert_unsent"]
    assert told[-1]["outcome"] == "refused"
    assert 40 < clock.now - T0 <= 60


def test_a_slow_rate_is_not_given_up_while_it_gets_on():
    limits = Limits(rate=0.1, burst=1)
    clock = Clock()
    incidents = [incident(f"{n}") for n in range(20)]
    told, dead = run_all(incidents, {"chat": Scripted()}, limits, clock, patience=15.0)
    assert [row["outcome"] for row in told] == ["delivered"] * 20
    assert dead == []
    assert clock.now - T0 == pytest.approx(190, abs=0.1)


def test_one_channel_that_hangs_delays_no_other():
    dead_end, well = Scripted("hang"), Scripted()
    senders = {"a dead end": dead_end, "chat": well}
    policy = scripted(senders, msgspec.structs.replace(FAST, attempts=1))
    deliver = DeliverAll(delivery_of(policy, senders))
    deliver.setup()
    routed, _ = route(batch_of(*[incident(f"{n}") for n in range(5)]), policy, T0)
    thread = threading.Thread(target=lambda: list(deliver.process((0, routed))))
    thread.start()
    end = time.monotonic() + 5
    while len(well.sent) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(well.sent) == 5
    assert thread.is_alive()
    dead_end.release.set()
    thread.join()


def test_a_channel_that_the_policy_has_not_is_a_dead_letter():
    policy = scripted({"chat": Scripted()}, by_severity={"warning": ("chat", "gone")})
    deliver = DeliverAll(delivery_of(policy, {"chat": Scripted()}))
    deliver.setup()
    routed, _ = route(batch_of(incident()), policy, T0)
    outputs = [getattr(o, "value", o).to_pylist() for o in deliver.process((0, routed))]
    letters = [row for rows in outputs for row in rows if "stage" in row]
    assert [(row["reason"], row["source"]) for row in letters] == [("alert_unsent", "notify:gone")]


ANSWERS = st.lists(st.sampled_from(["ok", "busy", "no"]), min_size=1, max_size=20)


@given(ANSWERS, ANSWERS, st.integers(1, 12))
@settings(max_examples=50)
def test_transitions_are_delivered_or_dead_letters_whatever_the_peers_answer(one, two, number):
    incidents = [incident(f"{n % 5}", n // 5, "updated") for n in range(number)]
    told, dead = run_all(incidents, {"one": Scripted(*one), "two": Scripted(*two)})
    for channel in ("one", "two"):
        mine = [row for row in told if row["channel"] == channel]
        keys = sorted(i.key for i in incidents)
        final = [row["key"] for row in mine if row["outcome"] in ("delivered", "refused")]
        assert sorted(final) == keys
        letters = [row["position"] for row in dead if row["source"] == f"notify:{channel}"]
        refused = [row["key"] for row in mine if row["outcome"] == "refused"]
        assert sorted(letters) == sorted(refused)


# The streaming form, by hand: state and timers as an engine keeps them.


class State:
    """A state value of an engine, which forgets what a failed bundle wrote."""

    def __init__(self):
        self.committed = self.written = None

    def read(self):
        return self.written

    def write(self, value):
        assert isinstance(value, bytes)
        self.written = value

    def commit(self):
        self.committed = self.written

    def fail(self):
        self.written = self.committed


class Timer:
    due = None

    def set(self, when):
        self.due = when

    def clear(self):
        self.due = None


class Worker:
    """One channel of a streaming job, bundle by bundle."""

    def __init__(self, sender, limits=FAST, in_bundle=5.0, clock=time.time):
        self.policy = scripted({"chat": sender}, limits)
        self.delivery = delivery_of(
            self.policy, {"chat": sender}, clock, time.sleep, patience=0.0, in_bundle=in_bundle
        )
        self.state, self.retry, self.end = State(), Timer(), Timer()
        self.told, self.dead = [], []
        self.start()

    def start(self):
        """A new worker process, as after a crash."""
        self.deliver = Deliver(self.delivery)
        self.deliver.setup()

    def take(self, *incidents, fails=False):
        element = ("chat", batch_of(*incidents))
        self._bundle(self.deliver.process(element, self.state, self.retry, self.end), fails)

    def fire(self, fails=False):
        self.retry.due = None
        self._bundle(self.deliver.on_retry("chat", self.state, self.retry), fails)

    def drain(self):
        self._bundle(self.deliver.on_end("chat", self.state), False)

    def until_idle(self):
        end = time.monotonic() + 10
        while self.retry.due is not None:
            assert time.monotonic() < end, "it does not come to an end"
            time.sleep(max(min(self.retry.due - time.time(), 0.5), 0.0))
            self.fire()

    def _bundle(self, outputs, fails):
        outputs = list(outputs)
        if fails:
            self.state.fail()
            return
        self.state.commit()
        for output in outputs:
            rows = getattr(output, "value", output).to_pylist()
            (self.dead if "stage" in rows[0] else self.told).extend(rows)

    @property
    def outbox(self):
        return decode_outbox(self.state.committed)


def test_a_peer_that_answers_is_told_within_the_bundle():
    worker = Worker(Scripted())
    worker.take(incident("a"), incident("b"))
    assert outcomes(worker.told) == [("a:0:opened", 1, "delivered"), ("b:0:opened", 1, "delivered")]
    assert worker.retry.due is None
    assert worker.end.due is not None


def test_retries_come_by_timer_and_end_in_a_dead_letter():
    sender = Scripted("busy")
    worker = Worker(sender)
    worker.take(incident())
    worker.until_idle()
    assert [row["outcome"] for row in worker.told] == ["retried", "retried", "refused"]
    assert [row["reason"] for row in worker.dead] == ["alert_expired"]
    assert len(sender.sent) == 3


def test_a_peer_that_hangs_holds_no_bundle_and_is_taken_up_later():
    sender = Scripted("hang", "ok")
    worker = Worker(sender, in_bundle=0.05)
    start = time.monotonic()
    worker.take(incident("a"), incident("b"))
    worker.take(incident("c"))
    assert time.monotonic() - start < 0.5
    assert worker.told == []
    assert len(sender.sent) == 1
    sender.release.set()
    worker.until_idle()
    final = [o for o in outcomes(worker.told) if o[2] == "delivered"]
    assert sorted(final) == [
        ("a:0:opened", 2, "delivered"),
        ("b:0:opened", 1, "delivered"),
        ("c:0:opened", 1, "delivered"),
    ]


def test_the_same_row_again_is_not_sent_again():
    sender = Scripted()
    worker = Worker(sender)
    for _ in range(3):
        worker.take(incident())
    assert sender.sent == ["a:0:opened"]


def test_a_bundle_that_is_repeated_sends_again_and_tells_once():
    sender = Scripted()
    worker = Worker(sender)
    worker.take(incident(), fails=True)
    worker.take(incident())
    assert sender.sent == ["a:0:opened"] * 2
    assert outcomes(worker.told) == [("a:0:opened", 1, "delivered")]


def test_what_a_repeated_bundle_finds_under_way_is_not_sent_twice():
    sender = Scripted("slow")
    worker = Worker(sender, in_bundle=0.01)
    worker.take(incident(), fails=True)
    worker.take(incident())
    worker.until_idle()
    assert sender.sent == ["a:0:opened"]
    assert outcomes(worker.told) == [("a:0:opened", 1, "delivered")]


def test_what_ends_after_its_state_was_set_back_is_let_go():
    sender = Scripted("slow")
    worker = Worker(sender, in_bundle=0.01)
    worker.take(incident("a"), fails=True)
    time.sleep(0.4)
    worker.take(incident("b"))
    worker.until_idle()
    assert outcomes(worker.told) == [("b:0:opened", 1, "delivered")]


def test_a_worker_that_dies_while_a_peer_answers_loses_nothing():
    sender, clock = Scripted("hang", "ok"), Clock()
    worker = Worker(sender, in_bundle=0.01, clock=clock)
    worker.take(incident())
    worker.start()
    worker.fire()
    assert sender.sent == ["a:0:opened"], "another worker may still be at it"
    clock.now = worker.outbox.queue[0].trying_until + 0.1
    worker.fire()
    clock.now += 1.0
    worker.fire()
    assert [(o[1], o[2]) for o in outcomes(worker.told)] == [(1, "retried"), (2, "delivered")]
    assert worker.told[0]["status"] == "lost"
    sender.release.set()


def test_an_open_breaker_tries_nothing_until_its_pause_is_over():
    limits = msgspec.structs.replace(FAST, failures=2, pause=60.0, attempts=100)
    sender, clock = Scripted("busy", "busy", "ok"), Clock()
    worker = Worker(sender, limits, clock=clock)
    worker.take(incident("a"))
    while len(sender.sent) < 2:
        clock.now += 0.1
        worker.fire()
    worker.take(incident("b"), incident("c"))
    assert len(sender.sent) == 2
    assert worker.retry.due == pytest.approx(clock.now + 60.0, abs=0.1)
    clock.now += 60.1
    worker.fire()
    assert sorted(sender.sent[2:]) == ["a:0:opened", "b:0:opened", "c:0:opened"]
    assert worker.outbox.queue == []


def test_the_end_of_the_stream_tries_on_and_tells_what_was_given_up():
    sender = Scripted("busy")
    worker = Worker(sender)
    worker.take(incident("a"), incident("b"))
    worker.drain()
    assert sorted(row["position"] for row in worker.dead) == ["a:0:opened", "b:0:opened"]
    assert worker.outbox.queue == []
    worker.fire()
    assert worker.retry.due is None


def test_a_changed_policy_is_taken_up_by_what_waits():
    sender = Scripted("busy", "ok")
    worker = Worker(sender)
    worker.take(incident())
    del worker.policy.channels["chat"]
    worker.until_idle()
    assert [row["reason"] for row in worker.dead] == ["alert_unsent"]
