"""Devices that send, with the truth of what they sent."""

import json
import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

LONGEST_TURN = 0.7  # s
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Outgoing(NamedTuple):
    """A message on its way.

    Attributes:
        key: The device.
        payload: Its bytes.
        truth: What it is: "reading", "duplicate" or "dead letter".
        reading: Device and event time (µs) of what it carries; None of a dead letter.
    """

    key: str
    payload: bytes
    truth: str = "reading"
    reading: tuple[str, int] | None = None


class Feed:
    """A fleet that sends at a steady rate, in small batches of random size, slightly disordered.

    Used as a context: it sends from its begin to its end, where what is on its way is sent.

    Args:
        send: Takes messages, gives for each whether the service has it (see `senders.py`).
        devices: How many, named d00, d01, ...
        rate: Readings a second, of all devices together.
        duplicates: Share of readings that are sent twice.
        malformed: Share that cannot be read.
        delay: Most seconds from a reading's event time until it is sent.
        spikes: Whether each device has a spike of three readings every 200 (for incidents).
        shape: Given `reading, device, at`, the messages to send in place of that reading's one
            (`as_message` makes it); called in the feed's own thread, once a turn.
        seed: Of everything random.

    Attributes:
        sent: When each reading was taken by the service, by (device, event time in µs): the truth.
        doubtful: Readings of which the service did not say that it has them.
        counts: Messages taken, by truth.
    """

    def __init__(
        self,
        send,
        devices=60,
        rate=240.0,
        duplicates=0.01,
        malformed=0.005,
        delay=0.8,
        spikes=False,
        shape=None,
        seed=1,
    ):
        self.send, self.devices, self.rate = send, devices, rate
        self.duplicates, self.malformed = duplicates, malformed
        self.delay, self.spikes = delay, spikes
        self.shape = shape or _alone
        self.random = random.Random(seed)
        self.sent, self.doubtful, self.counts = {}, set(), Counter()
        self.problem = None
        self._waiting = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def messages(self):
        """How many messages the service took."""
        return self.counts.total()

    @property
    def dead(self):
        """How many of them are to be dead letters."""
        return self.counts["dead letter"]

    def check(self):
        """Raise what ended the feed, if anything did."""
        if self.problem is not None:
            raise self.problem

    def sent_until(self, moment):
        """The readings that the service took before it; a copy."""
        return {reading for reading, at in list(self.sent.items()) if at <= moment}

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Send what is on its way, and end; a second time does nothing."""
        self._stop.set()
        self._thread.join()
        self.check()

    def _run(self):
        try:
            self._feed()
        except BaseException as error:  # the test's thread is to tell it
            self.problem = error

    def _feed(self):
        begun = time.time()
        turn = 0
        while not self._stop.is_set():
            time.sleep(self.random.uniform(0.05, 0.5))
            now = time.time()
            # A machine that stood still for a moment makes no old readings: they would be late.
            begun = max(begun, now - LONGEST_TURN - turn / self.rate)
            while begun + turn / self.rate < now:
                self._take(turn, begun + turn / self.rate)
                turn += 1
            self._send_due(now)
        self._send_due(float("inf"))

    def _take(self, turn, at):
        number, device = divmod(turn, self.devices)
        spike = self.spikes and number > 100 and (number + 7 * device) % 200 < 3
        reading = {
            "device_id": f"d{device:02d}",
            "timestamp": at,
            "temperature": round(20 + self.random.gauss(0, 0.2) + 30 * spike, 2),
            "humidity": round(50 + self.random.gauss(0, 0.5), 1),
            "pressure": round(1013 + self.random.gauss(0, 0.3), 1),
        }
        for message in self.shape(reading, device, at):
            if message.truth == "reading" and self.random.random() < self.malformed:
                message = Outgoing(message.key, message.payload[:-9], "dead letter")
            self._waiting.append((at + self.random.uniform(0, self.delay), message))
            if message.truth == "reading" and self.random.random() < self.duplicates:
                again = message._replace(truth="duplicate")
                self._waiting.append((at + self.random.uniform(1, 2), again))

    def send_all(self, messages):
        """Send these now, in the caller's thread: before the feed begins, or after its end."""
        for first in range(0, len(messages), 400):
            some = messages[first : first + 400]
            for message, taken in zip(some, self.send(some), strict=True):
                self._note(message, taken)

    def _send_due(self, now):
        due = sorted((one for one in self._waiting if one[0] <= now), key=lambda one: one[0])
        self._waiting = [one for one in self._waiting if one[0] > now]
        self.send_all([message for _, message in due])

    def _note(self, message, taken):
        if not taken:
            self.doubtful.add(message.reading)
            return
        truth = message.truth
        if truth == "reading" and message.reading in self.sent:
            truth = "duplicate"
        elif truth == "duplicate" and message.reading not in self.sent:
            truth = "reading"  # the first one was not taken
        self.counts[truth] += 1
        if truth == "reading":
            self.sent[message.reading] = time.time()


def _alone(reading, device, at):
    return [as_message(reading)]


def as_message(reading, at=None):
    """The message of a reading; its event time is `at`, or its timestamp, in seconds."""
    device = reading["device_id"]
    moment = datetime.fromtimestamp(at or reading["timestamp"], UTC)
    payload = {**reading, "timestamp": moment.isoformat()}
    micros = (moment - EPOCH) // timedelta(microseconds=1)
    return Outgoing(device, json.dumps(payload).encode(), reading=(device, micros))
