"""The table of targets: from the word before the colon to what makes the target."""

from collections.abc import Callable

from eddyline.io.simulate.targets.folder import FolderTarget
from eddyline.io.simulate.targets.kinesis import KinesisTarget
from eddyline.io.simulate.targets.pubsub import PubSubTarget
from eddyline.io.simulate.targets.sqs import SqsTarget
from eddyline.io.simulate.targets.target import Target

TARGETS: dict[str, Callable[[str], Target]] = {
    "kinesis": KinesisTarget,
    "pubsub": PubSubTarget,
    "sqs": SqsTarget,
}


def target_of(words: str) -> Target:
    """The target that is named `kinesis:STREAM`, `sqs:QUEUE`, `pubsub:TOPIC`, or a folder.

    Raises:
        Unsendable: It cannot be opened.
        ValueError: The prefix is of another kind of place.

    Example:
        >>> target_of("s3://bucket/in")
        Traceback (most recent call last):
        ValueError: --to: kinesis:NAME, pubsub:NAME, sqs:NAME or a local folder, not 's3://bucket/in'
    """
    prefix, colon, name = words.partition(":")
    if colon and prefix in TARGETS and name:
        return TARGETS[prefix](name)
    if not words or colon:
        known = ", ".join(f"{prefix}:NAME" for prefix in sorted(TARGETS))
        raise ValueError(f"--to: {known} or a local folder, not {words!r}")
    return FolderTarget(words)
