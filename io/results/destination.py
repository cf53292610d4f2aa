"""Where a table's rows go, as the settings name it."""

import re
from typing import Literal, NamedTuple, cast

Kind = Literal["pubsub", "kinesis", "sns"]

_FORMS: dict[str, tuple[re.Pattern[str], str]] = {
    "pubsub": (re.compile(r"projects/[^/]+/topics/[^/]+"), "pubsub:projects/PROJECT/topics/NAME"),
    "kinesis": (
        re.compile(r"[a-zA-Z0-9_.-]{1,128}|arn:[^:]+:kinesis:[^:]+:\d*:stream/[\w.-]+"),
        "kinesis:STREAM or kinesis:ARN",
    ),
    "sns": (re.compile(r"arn:[^:]+:sns:[^:]+:\d*:[\w.-]+"), "sns:ARN"),
}


class Destination(NamedTuple):
    """A service and the stream or topic in it.

    Args:
        kind: The service.
        name: The stream's name or the topic's full one.
    """

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def parse_destination(text: str) -> Destination:
    """A destination from its text.

    Raises:
        ValueError: It is none.

    Example:
        >>> parse_destination("kinesis:incidents")
        Destination(kind='kinesis', name='incidents')
        >>> parse_destination("sns:incidents")
        Traceback (most recent call last):
        ValueError: 'sns:incidents' is no destination; sns:ARN is
    """
    kind, _, name = text.partition(":")
    if kind not in _FORMS:
        forms = ", ".join(form for _, form in _FORMS.values())
        raise ValueError(f"{text!r} is no destination; one is {forms}")
    pattern, form = _FORMS[kind]
    if not pattern.fullmatch(name):
        raise ValueError(f"{text!r} is no destination; {form} is")
    return Destination(cast("Kind", kind), name)
