"""Check: one thing that a run needs, and whether it is as it must be."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

OutcomeName = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """What was looked at and found.

    Attributes:
        name: What was looked at, such as "source kinesis:telemetry".
        outcome: ok; warning, where the job would run but maybe not as it is meant; failed.
        found: What was found, in words.
        remedy: What to do about it; empty where nothing needs doing.
    """

    name: str
    outcome: OutcomeName
    found: str
    remedy: str = ""


class Ill(Exception):
    """Something is not as it must be.

    Args:
        found: What is wrong.
        remedy: What to do about it.
        outcome: failed, or warning.
    """

    def __init__(self, found: str, remedy: str = "", outcome: OutcomeName = "failed") -> None:
        super().__init__(found)
        self.found, self.remedy = found, remedy
        self.outcome: OutcomeName = outcome


def examine(name: str, look: Callable[[], str]) -> Check:
    """Look at one thing; whatever is raised there is a finding and never the end of the others.

    Args:
        name: What is looked at.
        look: Gives what was found where all is well.

    Example:
        >>> examine("lake", lambda: "writable").outcome
        'ok'
        >>> def broken() -> str:
        ...     raise Ill("bucket b is not there", "create it")
        >>> examine("lake", broken)
        Check(name='lake', outcome='failed', found='bucket b is not there', remedy='create it')
    """
    try:
        return Check(name, "ok", look())
    except Ill as ill:
        return Check(name, ill.outcome, ill.found, ill.remedy)
    except Exception as error:  # of any library: each is one finding
        return Check(name, "failed", _words(error))


def worst(checks: Iterable[Check]) -> OutcomeName:
    """The worst outcome of all.

    Example:
        >>> worst([Check("a", "ok", ""), Check("b", "warning", "")])
        'warning'
    """
    outcomes = {check.outcome for check in checks}
    return "failed" if "failed" in outcomes else "warning" if "warning" in outcomes else "ok"


def _words(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
