"""Leases, acknowledgements and the watermark, against a service by hand and a clock by hand."""

import pytest
from google.api_core.exceptions import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    ServiceUnavailable,
)
from google.cloud.pubsub_v1.types import PubsubMessage, PullResponse, ReceivedMessage
from google.protobuf.timestamp_pb2 import Timestamp

from eddyline.io.pubsub.reader import PubSubReader
from eddyline.io.pubsub.source import PubSub
from eddyline.io.sources.progress import UNKNOWN, Partition, Progress
from eddyline.io.sources.source import Unreadable
from eddyline.schemas.message import messages_of

NAME = "projects/project/subscriptions/telemetry"
FRESH = Progress({"0000": Partition("")})
START = 1_767_312_000


class Service:
    """A subscription: messages wait, are leased, and come back when nobody extends the lease."""

    def __init__(self):
        self.time = 0.0
        self.messages = {}  # ack id -> [publish second, visible from]
        self.broken = {}  # name of a call -> the exception that it raises
        self.extended = []
        self.shown = 0

    def clock(self):
        return self.time

    def now(self):
        return START + self.time

    def publish(self, *seconds):
        for second in seconds:
            self.messages[f"ack-{len(self.messages)}"] = [second, 0.0]

    def _maybe_broken(self, call):
        if call in self.broken:
            raise self.broken[call]

    def pull(self, request, timeout, retry):
        self._maybe_broken("pull")
        received = []
        for ack, (second, visible) in self.messages.items():
            if visible <= self.time and len(received) < request["max_messages"]:
                self.messages[ack][1] = self.time + 10
                message = PubsubMessage(
                    data=ack.encode(),
                    message_id=f"id of {ack}",
                    attributes={"type": "data"},
                    publish_time=Timestamp(seconds=START + second, nanos=999),
                )
                received.append(ReceivedMessage(ack_id=ack, message=message))
        if not received:
            self.time += timeout
            raise DeadlineExceeded("nothing came")
        return PullResponse(received_messages=received)

    def modify_ack_deadline(self, subscription, ack_ids, ack_deadline_seconds, timeout, retry):
        self._maybe_broken("modify")
        self.extended += [(ack, ack_deadline_seconds) for ack in ack_ids]
        for ack in ack_ids:
            if ack in self.messages:
                self.messages[ack][1] = self.time + ack_deadline_seconds

    def acknowledge(self, subscription, ack_ids, timeout, retry):
        self._maybe_broken("acknowledge")
        if not ack_ids:
            raise InvalidArgument("No ack ids specified.")
        for ack in ack_ids:
            self.messages.pop(ack, None)


@pytest.fixture
def service():
    return Service()


def reader_of(service, **more):
    return PubSubReader(PubSub(NAME, **more), service, service.clock, service.now)


def taken(polled):
    return [m.payload.decode() for batch in polled.batches for m in messages_of(batch)]


def seen(polled):
    return polled.progress.seen


def test_a_message_keeps_its_id_its_attributes_and_when_it_was_published(service):
    service.publish(7)
    polled = reader_of(service).poll(FRESH)
    [[message]] = [messages_of(batch) for batch in polled.batches]
    assert message.source == f"pubsub:{NAME}"
    assert message.position == "id of ack-0"
    assert message.attributes == {"type": "data"}
    assert message.arrival_time == (START + 7) * 1_000_000


def test_a_lease_is_extended_until_the_engine_has_committed(service):
    service.publish(0)
    reader = reader_of(service)
    polled = first = reader.poll(FRESH)
    for _ in range(200):  # seconds; a lease is 60
        polled = reader.poll(polled.progress)
        assert taken(polled) == []
    first.acknowledge()
    assert service.messages == {}


def test_a_message_that_nobody_commits_is_let_go_in_the_end(service):
    service.publish(0)
    reader = reader_of(service, longest=100.0)
    polled = reader.poll(FRESH)
    came = []
    while service.time < 300 and not came:
        polled = reader.poll(polled.progress)
        came = taken(polled)
    assert came == ["ack-0"]
    assert 100 < service.time < 170


def test_what_an_engine_went_back_behind_is_given_back_at_once(service):
    service.publish(0)
    reader = reader_of(service)
    checkpoint = reader.poll(FRESH).progress
    service.publish(1)
    assert taken(reader.poll(checkpoint)) == ["ack-1"]
    again = reader.poll(checkpoint)
    assert taken(again) == ["ack-1"]
    assert service.time < 2  # and not when its lease has run out
    assert ("ack-0", 0) not in service.extended


def test_what_an_engine_went_back_behind_is_not_acknowledged_by_a_call_for_its_bundle(service):
    """Flink calls for bundles that its checkpoint does not hold."""
    service.publish(0)
    reader = reader_of(service)
    lost = reader.poll(FRESH)
    reader.poll(FRESH)
    lost.acknowledge()
    assert service.messages


def test_what_is_held_is_kept_after_the_last_poll_until_it_is_acknowledged(service):
    service.publish(0)
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    for _ in range(200):  # seconds; it is kept for 60
        assert reader.keep(polled.progress)
        assert taken(reader_of(service).poll(FRESH)) == []
    service.broken["acknowledge"] = ServiceUnavailable("away")
    polled.acknowledge()
    assert reader.keep(polled.progress)
    service.broken = {}
    assert not reader.keep(polled.progress)
    assert service.messages == {}


def test_after_the_last_poll_what_an_engine_went_back_behind_is_given_back(service):
    service.publish(0)
    reader = reader_of(service)
    lost = reader.poll(FRESH)
    assert not reader.keep(FRESH)
    lost.acknowledge()
    assert len(service.messages) == 1
    assert len(taken(reader_of(service).poll(FRESH))) == 1


def test_a_closed_reader_gives_back_what_was_not_committed(service):
    service.publish(0, 0)
    reader = reader_of(service)
    reader.poll(FRESH)
    reader.close()
    assert sorted(taken(reader_of(service).poll(FRESH))) == ["ack-0", "ack-1"]


def test_what_was_committed_after_the_reader_was_closed_is_acknowledged(service):
    service.publish(0)
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    reader.close()
    polled.acknowledge()
    assert service.messages == {}


def test_an_acknowledgement_that_fails_is_tried_again_and_nothing_is_given_back(service):
    service.publish(0)
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    service.broken["acknowledge"] = ServiceUnavailable("away")
    polled.acknowledge()
    assert service.messages
    del service.broken["acknowledge"]
    polled = reader.poll(FRESH)  # even where the engine has gone back
    assert taken(polled) == []
    assert service.messages == {}


def test_an_empty_subscription_lets_the_watermark_go_on(service):
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    assert seen(polled) == (START - 1) * 1_000_000  # of when the pull began
    assert seen(reader.poll(polled.progress)) > seen(polled)
    assert polled.wait > 0


def test_a_service_that_is_not_there_does_not_move_the_watermark(service):
    reader = reader_of(service)
    progress = reader.poll(FRESH).progress
    service.broken["acknowledge"] = ServiceUnavailable("away")  # and pulls wait in vain
    for _ in range(8):
        polled = reader.poll(progress)
        assert polled.progress == progress
        assert 0 < polled.wait <= 10
    service.broken = {"pull": ServiceUnavailable("away")}
    assert reader.poll(progress).progress == progress


def test_the_watermark_stays_behind_older_messages_for_a_while(service):
    service.publish(-100)
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    service.publish(0)
    polled = reader.poll(polled.progress)
    assert seen(polled) == (START - 100) * 1_000_000
    service.time += 11
    service.publish(5)
    assert seen(reader.poll(polled.progress)) == (START + 5) * 1_000_000


def test_another_worker_does_not_believe_in_emptiness_before_the_leases_have_run_out(service):
    service.publish(3)
    dead = reader_of(service)
    checkpoint = Progress({"0000": Partition("gone:4", seen=5)})
    dead.poll(FRESH)  # and its worker died: nothing was committed
    reader = reader_of(service)
    polled = reader.poll(checkpoint)
    came = []
    while not came:
        assert seen(polled) == 5
        polled = reader.poll(polled.progress)
        came = taken(polled)
    assert service.time > 50
    assert seen(polled) == (START + 3) * 1_000_000


def test_readers_that_take_turns_leave_each_other_their_leases(service):
    one, other = reader_of(service), reader_of(service)
    progress = FRESH
    for turn in range(20):
        service.publish(turn)
        polled = (one, other)[turn % 2].poll(progress)
        assert len(taken(polled)) == 1
        progress = polled.progress
    assert not [ack for ack, seconds in service.extended if not seconds]


def test_a_fresh_start_knows_nothing_until_it_was_answered(service):
    service.broken["pull"] = ServiceUnavailable("away")
    assert seen(reader_of(service).poll(FRESH)) == UNKNOWN


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("telemetry", {}, "projects/PROJECT/subscriptions/NAME, not 'telemetry'"),
        ("projects/p/topics/t", {}, "projects/PROJECT/subscriptions/NAME"),
        (NAME, {"readers": 0}, "at least 1"),
        (NAME, {"lease": 1}, "lease is 2 to 600"),
    ],
)
def test_what_makes_no_sense_is_refused(name, more, words):
    with pytest.raises(ValueError, match=words):
        PubSub(name, **more)


def test_a_subscription_that_is_gone_is_told_in_words(service):
    service.broken["pull"] = NotFound("no such thing")
    with pytest.raises(Unreadable, match="telemetry: it does not exist"):
        reader_of(service).poll(FRESH)


def gone(service):
    for call in ("pull", "modify", "acknowledge"):
        service.broken[call] = NotFound("no such subscription")


def test_a_subscription_that_is_gone_while_it_is_read_is_waited_for_and_read_on(service, caplog):
    service.publish(0)
    reader = reader_of(service)
    old = reader.poll(FRESH)
    progress = old.progress
    for call in ("pull", "modify", "acknowledge"):
        service.broken[call] = ServiceUnavailable("away")
    for _ in range(6):
        service.time += reader.poll(progress).wait
    assert caplog.text.count("no answer for") == 1
    gone(service)  # the emulator is back, and knows nothing: that is another trouble, told at once
    for _ in range(2):
        polled = reader.poll(progress)
        assert (taken(polled), seen(polled)) == ([], seen(old))
        assert 0 < polled.wait <= 5
        service.time += polled.wait
    assert caplog.text.count("no answer for") == 2
    assert "it does not exist" in caplog.text
    # An emulator that has started again gives its ack ids again, to other messages.
    service.broken, service.messages = {}, {}
    service.publish(40)
    old.acknowledge()
    assert list(service.messages) == ["ack-0"]
    polled = reader.poll(progress)
    assert taken(polled) == ["ack-0"]
    assert "answers again" in caplog.text
    polled.acknowledge()
    assert service.messages == {}


def test_a_subscription_that_stays_away_is_told_in_words_in_the_end(service):
    reader = reader_of(service, patience=60.0)
    progress = reader.poll(FRESH).progress
    gone(service)
    begun = service.time
    while service.time - begun < 60:
        service.time += reader.poll(progress).wait
    service.time += 5
    with pytest.raises(Unreadable, match="telemetry: it does not exist"):
        reader.poll(progress)


def test_a_commit_while_the_subscription_is_gone_is_no_error(service):
    service.publish(0)
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    gone(service)
    polled.acknowledge()
    assert taken(reader.poll(polled.progress)) == []


def test_what_was_pulled_is_taken_though_its_lease_could_not_be_extended(service):
    service.publish(0)
    service.broken["modify"] = ServiceUnavailable("away")
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    assert taken(polled) == ["ack-0"]
    service.broken = {}
    reader.poll(polled.progress)
    assert ("ack-0", 60) in service.extended


def test_a_moment_of_trouble_is_no_news(service, caplog):
    reader = reader_of(service)
    progress = reader.poll(FRESH).progress
    service.broken["pull"] = ServiceUnavailable("away")
    reader.poll(progress)
    service.broken = {}
    reader.poll(progress)
    assert caplog.text == ""


def test_a_machine_whose_clock_is_set_meanwhile_has_the_watermark_that_it_had(service):
    wall = {"set": 0.0}
    reader = PubSubReader(PubSub(NAME), service, service.clock, lambda: service.now() + wall["set"])
    progress = reader.poll(FRESH).progress
    for wall["set"] in (3_600.0, -86_400.0):
        polled = reader.poll(progress)
        assert seen(polled) == (START - 2 + service.time) * 1_000_000
        progress = polled.progress


def test_a_machine_whose_clock_is_behind_learns_the_time_from_the_messages(service):
    reader = PubSubReader(PubSub(NAME), service, service.clock, lambda: service.now() - 7_200.0)
    polled = reader.poll(FRESH)
    service.publish(int(service.time))
    polled = reader.poll(polled.progress)
    assert taken(polled) == ["ack-0"]
    for _ in range(5):
        polled = reader.poll(polled.progress)
    assert 0 < (START + service.time) * 1_000_000 - seen(polled) < 3_000_000
