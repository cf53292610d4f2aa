"""Loads heavy libraries when they are first needed, by one thread at a time."""

from importlib import import_module
from threading import Lock

_ONE = Lock()


def load(*names: str) -> None:
    """Import modules so that the `import` statements that follow find them whole.

    Two threads that import one library of many modules at once can each see the other's half-made
    ones (Python breaks such deadlocks so): alerts were lost to an ImportError of slack_sdk.

    Raises:
        ImportError: There is no such library.

    Example:
        >>> load("json", "email.message")
    """
    with _ONE:
        for name in names:
            import_module(name)
