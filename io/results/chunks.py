"""Chunks: results cut into requests of a service's size, sent one after the other."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from eddyline.io.results.encode import Result
from eddyline.io.rows.resend import Outcome, Problem

Size = Callable[[Result], int]
Send = Callable[[Sequence[Result]], Outcome[Result]]


class Limits(NamedTuple):
    """What a service takes: messages a request, bytes a request, bytes a message."""

    messages: int
    request_bytes: int
    message_bytes: int


def send_in_chunks(
    results: Sequence[Result], size: Size, limits: Limits, send: Send
) -> Outcome[Result]:
    """Send the results in requests that the service takes.

    Guarantee: in their order. Once a request is held up those behind it wait, so that nothing is
    overtaken. What is too large for any request is refused without being sent.
    """
    sizes = [(result, size(result)) for result in results]
    words = f"a message has at most {limits.message_bytes:,} bytes"
    whole: Outcome[Result] = Outcome(
        refused=[Problem(r, "too_large", words) for r, n in sizes if n > limits.message_bytes]
    )
    fit = [(result, n) for result, n in sizes if n <= limits.message_bytes]
    for chunk in _chunks(fit, limits):
        if whole.again:
            whole.again += [Problem(result, "undelivered", "behind others") for result in chunk]
            continue
        outcome = send(chunk)
        whole.refused += outcome.refused
        whole.again += outcome.again
    return whole


def _chunks(sizes: Sequence[tuple[Result, int]], limits: Limits) -> Iterator[list[Result]]:
    held: list[Result] = []
    held_bytes = 0
    for result, size in sizes:
        if held and (len(held) >= limits.messages or held_bytes + size > limits.request_bytes):
            yield held
            held, held_bytes = [], 0
        held.append(result)
        held_bytes += size
    if held:
        yield held
