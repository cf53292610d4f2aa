"""Wait for what must happen in a given time."""

import socket
import time


def wait_until(condition, seconds, what, pause=0.2):
    """Poll until the condition holds; gives what it gave.

    Raises:
        AssertionError: Not within that many seconds; `what` (words, or what makes them) says what.
    """
    end = time.monotonic() + seconds
    while not (held := condition()):
        words = what if isinstance(what, str) else what()
        assert time.monotonic() < end, f"{words}: not within {seconds:g} s"
        time.sleep(pause)
    return held


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
