"""What is hidden, deleted and given back, against a queue by hand and a clock by hand."""

from email.utils import formatdate

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from eddyline.io.sources.progress import Partition, Progress
from eddyline.io.sources.source import Unreadable
from eddyline.io.sqs.reader import SqsReader
from eddyline.io.sqs.source import Sqs
from eddyline.schemas.message import messages_of

FRESH = Progress({"0000": Partition("")})
START = 1_767_312_000
AWAY = EndpointConnectionError(endpoint_url="http://sqs")


class Service:
    """A queue: messages wait, are hidden once received, and are shown again in their time."""

    def __init__(self):
        self.time = 0.0
        self.messages = {}  # body -> [second it was sent, visible from]
        self.handles = {}  # of each receive -> body
        self.broken = {}  # name of a call -> the exception that it raises
        self.failing = set()  # bodies that cannot be deleted at the moment
        self.changed = []

    def clock(self):
        return self.time

    def send(self, *bodies):
        for body in bodies:
            self.messages[body] = [self.time, self.time]

    def _begin(self, call):
        if call in self.broken:
            raise self.broken[call]
        headers = {"date": formatdate(START + self.time, usegmt=True)}
        return {"ResponseMetadata": {"HTTPHeaders": headers}}

    def receive_message(self, **wanted):
        answer = self._begin("receive")
        visible = [b for b, (_, since) in self.messages.items() if since <= self.time]
        for body in visible[: wanted["MaxNumberOfMessages"]]:
            self.messages[body][1] = self.time + wanted["VisibilityTimeout"]
            handle = f"{body}#{len(self.handles)}"
            self.handles[handle] = body
            sent = {"SentTimestamp": str(round((START + self.messages[body][0]) * 1000))}
            message = {"MessageId": f"id of {body}", "ReceiptHandle": handle, "Body": body}
            answer.setdefault("Messages", []).append({**message, "Attributes": sent})
        if not visible:
            self.time += wanted["WaitTimeSeconds"]
        return answer

    def change_message_visibility_batch(self, **wanted):
        answer = self._begin("change")
        for entry in wanted["Entries"]:
            body = self.handles[entry["ReceiptHandle"]]
            self.changed.append((body, entry["VisibilityTimeout"]))
            if body in self.messages:
                self.messages[body][1] = self.time + entry["VisibilityTimeout"]
        return answer

    def delete_message_batch(self, **wanted):
        answer = {**self._begin("delete"), "Failed": []}
        for entry in wanted["Entries"]:
            body = self.handles[entry["ReceiptHandle"]]
            if body in self.failing:
                answer["Failed"].append({"Id": entry["Id"], "SenderFault": False})
            else:
                self.messages.pop(body, None)
        return answer


@pytest.fixture
def service():
    return Service()


def reader_of(service, **more):
    return SqsReader(Sqs("telemetry", **more), service, "url", service.clock)


def taken(polled):
    return [m.payload.decode() for batch in polled.batches for m in messages_of(batch)]


def seen(polled):
    return polled.progress.seen


def test_a_message_is_hidden_until_the_engine_has_committed(service):
    service.send("a")
    reader = reader_of(service)
    polled = first = reader.poll(FRESH)
    assert taken(first) == ["a"]
    for _ in range(200):  # seconds; hidden for 60
        polled = reader.poll(polled.progress)
        assert taken(polled) == []
    first.acknowledge()
    assert service.messages == {}


def test_what_an_engine_went_back_behind_is_shown_again_at_once(service):
    service.send("a")
    reader = reader_of(service)
    checkpoint = reader.poll(FRESH).progress
    service.send("b")
    assert taken(reader.poll(checkpoint)) == ["b"]  # and its bundle fails
    again = reader.poll(checkpoint)
    assert taken(again) == ["b"]
    assert service.time < 2  # and not after 15 minutes, when it is let go
    assert ("a", 0) not in service.changed
    again.acknowledge()
    assert list(service.messages) == ["a"]


def test_what_an_engine_went_back_behind_is_not_deleted_by_a_call_for_its_bundle(service):
    """Flink calls for bundles that its checkpoint does not hold."""
    service.send("a")
    reader = reader_of(service)
    lost = reader.poll(FRESH)
    reader.poll(FRESH)
    lost.acknowledge()
    assert list(service.messages) == ["a"]


def test_what_is_held_is_kept_after_the_last_poll_until_it_is_acknowledged(service):
    service.send("a")
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    for _ in range(200):  # seconds; it is kept for 60
        assert reader.keep(polled.progress)
        assert taken(reader_of(service).poll(FRESH)) == []
    service.broken["delete"] = AWAY
    polled.acknowledge()
    assert reader.keep(polled.progress)
    service.broken = {}
    assert not reader.keep(polled.progress)
    assert service.messages == {}


def test_after_the_last_poll_what_an_engine_went_back_behind_is_shown_again(service):
    service.send("a")
    reader = reader_of(service)
    lost = reader.poll(FRESH)
    assert not reader.keep(FRESH)
    lost.acknowledge()
    assert len(service.messages) == 1
    assert len(taken(reader_of(service).poll(FRESH))) == 1


def test_a_bundle_that_fails_at_the_start_is_shown_again_at_once(service):
    service.send("a")
    reader = reader_of(service)
    assert taken(reader.poll(FRESH)) == ["a"]
    assert taken(reader.poll(FRESH)) == ["a"]
    assert service.time == 0


def test_a_closed_reader_shows_again_what_was_not_committed(service):
    service.send("a", "b")
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    reader.close()
    assert sorted(taken(reader_of(service).poll(FRESH))) == ["a", "b"]
    polled.acknowledge()  # it was committed all the same
    assert service.messages == {}


def test_a_message_that_nobody_commits_is_let_go_in_the_end(service):
    service.send("a")
    reader = reader_of(service, longest=100.0)
    polled = reader.poll(FRESH)
    came = []
    while service.time < 300 and not came:
        polled = reader.poll(polled.progress)
        came = taken(polled)
    assert came == ["a"]
    assert 100 < service.time < 170


@pytest.mark.parametrize("trouble", ["unreachable", "refused"])
def test_a_deletion_that_fails_is_tried_again_and_nothing_is_shown_again(service, trouble):
    service.send("a")
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    if trouble == "unreachable":
        service.broken["delete"] = AWAY
    else:
        service.failing.add("a")
    polled.acknowledge()
    assert list(service.messages) == ["a"]
    service.broken, service.failing = {}, set()
    polled = reader.poll(FRESH)  # even where the engine has gone back
    assert taken(polled) == []
    assert service.messages == {}


def test_a_deletion_that_is_not_allowed_is_told_in_words(service):
    service.send("a")
    polled = reader_of(service).poll(FRESH)
    service.broken["delete"] = ClientError({"Error": {"Code": "AccessDenied"}}, "DeleteMessage")
    with pytest.raises(Unreadable, match="sqs:DeleteMessage"):
        polled.acknowledge()


def test_a_queue_that_answers_nothing_is_not_empty_while_very_many_are_hidden(service, monkeypatch):
    monkeypatch.setattr("eddyline.io.sqs.reader.MANY", 2)
    service.send("a", "b")
    reader = reader_of(service)
    polled = first = reader.poll(FRESH)
    for _ in range(30):  # seconds: the oldest received is forgotten after 10
        polled = reader.poll(polled.progress)
    assert seen(polled) == seen(first)
    first.acknowledge()
    assert seen(reader.poll(polled.progress)) > seen(first)


def test_an_empty_queue_lets_the_watermark_go_on(service):
    reader = reader_of(service)
    polled = reader.poll(FRESH)
    assert seen(polled) >= (START - 2) * 1_000_000
    assert seen(reader.poll(polled.progress)) > seen(polled)


def test_another_worker_does_not_believe_in_emptiness_while_messages_are_hidden(service):
    service.send("a")
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
    assert seen(polled) == START * 1_000_000


def test_an_outage_is_waited_out_and_told(service, caplog):
    reader = reader_of(service)
    progress = reader.poll(FRESH).progress
    service.broken["receive"] = AWAY
    for _ in range(20):
        polled = reader.poll(progress)
        assert polled.progress == progress
        assert 0 < polled.wait <= 10
        service.time += polled.wait
    assert "sqs:telemetry: no answer for" in caplog.text
    service.broken = {}
    service.send("a")
    assert taken(reader.poll(progress)) == ["a"]
    assert "answers again" in caplog.text


def test_a_checkpoint_of_before_the_turns_is_read_on(service):
    service.send("a")
    polled = reader_of(service).poll(Progress({"0000": Partition("", seen=9)}, messages=4))
    assert (taken(polled), polled.progress.messages) == (["a"], 5)


def test_the_watermark_is_not_ahead_of_what_arrived_while_an_empty_answer_was_made(service):
    reader = reader_of(service)
    receive = service.receive_message

    def slow(**wanted):  # it looks, then stands still for a while, then stamps its answer
        service.receive_message = receive
        answer = receive(**wanted)
        service.time += 5
        service.send("a")
        service.time += 4
        return {**answer, **service._begin("receive")}

    service.receive_message = slow
    polled = reader.poll(FRESH)
    assert taken(polled) == []
    before = seen(polled)
    [message] = messages_of(reader.poll(polled.progress).batches[0])
    assert message.arrival_time >= before
