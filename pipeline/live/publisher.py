"""The publisher of a live run, in a process of its own: the job's interpreter is busy enough.

It publishes until its standard input ends, and says as JSON lines how far it is.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from threading import Event, Thread

import msgspec

from eddyline.io.simulate.publish import Published, live, publish
from eddyline.io.simulate.simulation import Simulation
from eddyline.io.simulate.stream import Stream
from eddyline.io.simulate.targets.table import target_of
from eddyline.io.simulate.targets.target import Unsendable
from eddyline.pipeline.live.rounds import rounds

EVERY = 0.2  # s between two lines
MADE_A_SECOND = 10_000  # messages of a round, on a busy machine
LATEST = 0.5  # s by which the first message may be late
LAST = 60.0  # s for what is on its way when it is stopped


class Publishing(msgspec.Struct, frozen=True):
    """What to publish.

    Args:
        target: As `target_of` takes it.
        devices: Devices of the fleet.
        rate: Messages a second.
        minutes: Of a round.
        warm_up: Minutes before the first fault.
        disorder: Seconds of the longest way of a message.
        faulty: Share of the devices that fail in a round.
        fault_minutes: The shortest and the longest fault.
        outage_minutes: How long a site is gone.
        seed: Of everything random.
        folder: Where the truth of each round goes.
    """

    target: str
    devices: int
    rate: float
    folder: str
    minutes: float = 5.6
    warm_up: float = 1.1
    disorder: float = 1.0
    faulty: float = 0.24
    fault_minutes: tuple[float, float] = (0.6, 1.5)
    outage_minutes: float = 0.6
    seed: int = 2

    def simulation(self, now: datetime) -> Simulation:
        """The first round.

        Raises:
            ValueError: A number makes no sense.
        """
        at_rest = Simulation(
            devices=self.devices,
            sites=max(1, min(4, self.devices // 4)),
            hours=self.minutes / 60,
            disorder=self.disorder,
            faulty=self.faulty,
            warm_up=self.warm_up / 60,
            outages=1,
            fault_minutes=self.fault_minutes,
            outage_minutes=self.outage_minutes,
            seed=self.seed,
        )
        return live(at_rest, self.rate, now)


class TooLate(Exception):
    """The first round was not made in time."""


class Word(msgspec.Struct, frozen=True):
    """One line of the publisher: what was published so far, and its end."""

    messages: int = 0
    retried: int = 0
    behind: float = 0.0
    ended: bool = False
    trouble: str = ""


def main() -> None:
    """Publish what the first argument says."""
    task = msgspec.json.decode(sys.argv[1], type=Publishing)
    stop = Event()
    Thread(target=_await_the_end, args=(stop,), daemon=True).start()
    lead = 3.0 + task.minutes * 60 * task.rate / MADE_A_SECOND
    word = Word()
    while not word.ended:
        try:
            word = _published(task, stop, lead)
        except TooLate:
            lead *= 2
        except Unsendable as error:
            word = Word(ended=True, trouble=str(error))
    _say(word)
    # The next round may be in the making, in a thread that nothing can stop.
    os._exit(1 if word.trouble else 0)


def _published(task: Publishing, stop: Event, lead: float) -> Word:
    """Publish until it is stopped.

    Args:
        task: What.
        stop: Ends it.
        lead: Seconds until the first message: its event time is the wall clock's, so the first
            round has to be there by then.

    Raises:
        TooLate: It was not.
        Unsendable: The target refuses.
    """
    first = task.simulation(datetime.now(UTC) + timedelta(seconds=lead))
    said = 0.0

    def sleep(seconds: float) -> None:
        stop.wait(seconds)

    def tell(done: Published) -> None:
        nonlocal last, said
        last = Word(done.messages, done.retried, done.behind)
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            _say(last)

    def note(number: int, stream: Stream) -> None:
        stream.truth.write(Path(task.folder) / f"truth-{number}.json")
        if number == 1:
            left = first.start.timestamp() - time.time()
            if left < -LATEST:
                raise TooLate
            sleep(max(0.0, left))

    last = Word()
    target = target_of(task.target)
    messages = rounds(first, note)
    # The publisher's time begins with its call, and the first message's has to have come.
    started = chain([next(messages)], messages)
    try:
        publish(started, target, time.monotonic, sleep, tell, stopped=stop.is_set)
    except Unsendable as error:
        return msgspec.structs.replace(last, ended=True, trouble=str(error))
    finally:
        target.close()
    return msgspec.structs.replace(last, ended=True)


def _await_the_end(stop: Event) -> None:
    """Whoever started us closes our standard input, or is gone, and the emulator with it."""
    sys.stdin.read()
    stop.set()
    time.sleep(LAST)
    os._exit(1)


def _say(word: Word) -> None:
    try:
        sys.stdout.write(json.dumps(msgspec.to_builtins(word)) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        sys.exit(1)


if __name__ == "__main__":
    main()
