"""Rounds: a simulated fleet that goes on and on, made some minutes at a time."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from heapq import merge

from eddyline.io.simulate.simulation import Simulation
from eddyline.io.simulate.stream import Stream, simulate

Message = tuple[int, bytes]
_MESSAGE_ID = re.compile(rb'("message_id":"[^"/]+)/')


def rounds(
    first: Simulation, tell: Callable[[int, Stream], None] = lambda _number, _stream: None
) -> Iterator[Message]:
    """Arrival time (µs) and payload of each message, in their order, without an end.

    Every round is the same fleet with the same faults, from where the one before it ended; after
    the first one there is no warm-up before the faults. Memory holds two rounds: the next one is
    made while this one is given out.

    Args:
        first: The first round.
        tell: Called with the number and the stream of each round before its messages are given.

    Example:
        >>> from itertools import islice, pairwise
        >>> first = Simulation(devices=2, hours=0.1, faulty=0, late=0)
        >>> both = list(islice(rounds(first), 110))
        >>> all(a <= b for (a, _), (b, _) in pairwise(both))
        True
        >>> b'/2-' in both[0][1], b'/2-' in both[-1][1]
        (False, True)
    """
    # Messages that are late or queued arrive after their round's end, among those of the next one.
    left: list[Message] = []
    with ThreadPoolExecutor(1, thread_name_prefix="rounds") as beside:
        coming = beside.submit(_round, first, 1)
        number = 1
        while True:
            stream, messages = coming.result()
            tell(number, stream)
            simulation = _after(first, number)
            coming = beside.submit(_round, simulation, number + 1)
            held: list[Message] = []
            for message in merge(left, messages, key=_arrival):
                if message[0] < simulation.start_time:
                    yield message
                else:
                    held.append(message)
            left, number = held, number + 1


def _after(first: Simulation, number: int) -> Simulation:
    """The round after that of this number."""
    start = first.start + timedelta(hours=first.hours * number)
    return replace(first, start=start, warm_up=0.0)


def _round(simulation: Simulation, number: int) -> tuple[Stream, list[Message]]:
    stream = simulate(simulation)
    payloads = stream.payloads
    if number > 1:  # a device numbers its messages on: an id that came again would be a duplicate
        payloads = [_MESSAGE_ID.sub(rb"\1/%d-" % number, payload) for payload in payloads]
    return stream, list(zip(stream.arrival_time.tolist(), payloads, strict=True))


def _arrival(message: Message) -> int:
    return message[0]
