"""Confirmation: when a checkpoint of Flink holds a number that a bundle put into state.

Beam lets a bundle register a callback that the runner calls once the bundle is committed. On Flink
it is called when a checkpoint completes, and not only for the bundles which that checkpoint holds:
for all that have ended by then, those after its snapshot included (Beam 2.70,
`ExecutableStageDoFnOperator.notifyCheckpointComplete`). What such a bundle did is lost with a kill
before the next checkpoint. So one call proves nothing. Two do: a bundle that was told of the first
call ended after the first checkpoint was complete, and is itself called by a later one, whose
snapshot was taken after the first was complete, hence after all that the first call spoke of.

            bundle a        bundle b, told of a
    ──┬────────┼───────┬────────┼────────┬───────────┬──►
   snapshot 1        complete 1       snapshot 2   complete 2
                      a is called                   b is called: a is durable

It asks that the next snapshot is not taken before a step has heard that the last one is complete:
one checkpoint at a time, and a pause between two.
"""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import RowCoder, registry

CONFIRM = "confirm"


class Key(NamedTuple):
    """Whose numbers: a job's in a table of a lake."""

    lake: str
    table: str
    job: str


# The callback may reach another instance of the DoFn than the one that gave a number and than the
# one whose timer fires next: a worker keeps a pool of instances, one for each bundle in progress.
# So what is known of numbers belongs to the process.
_CALLED: dict[Key, int] = {}
_DURABLE: dict[Key, int] = {}


def _forget() -> None:
    _CALLED.clear()
    _DURABLE.clear()


os.register_at_fork(after_in_child=_forget)


class Confirmation(NamedTuple):
    """What the runner's call for a bundle tells.

    Attributes:
        lake: Of the key.
        table: Of the key.
        job: Of the key.
        number: The last one given when the bundle was at work.
        called: The last one that the runner had called for by then.
    """

    lake: str
    table: str
    job: str
    number: int
    called: int

    def __call__(self) -> None:
        """Take note; calls may come in any order, and not at all."""
        key = Key(self.lake, self.table, self.job)
        _DURABLE[key] = max(self.called, _DURABLE.get(key, 0))
        _CALLED[key] = max(self.number, _CALLED.get(key, 0))


registry.register_coder(Confirmation, RowCoder)


def confirmation(key: Key, number: int) -> Confirmation:
    """What to register in a bundle that is at work, whose state has numbers up to this one.

    Example:
        >>> key = Key("lake", "readings", "job")
        >>> first = confirmation(key, 3)
        >>> first()
        >>> durable_up_to(key)
        0
        >>> confirmation(key, 5)()
        >>> durable_up_to(key)
        3
    """
    return Confirmation(*key, number, _CALLED.get(key, 0))


def durable_up_to(key: Key) -> int:
    """The highest number that every later restore has in its state; 0 for none."""
    return _DURABLE.get(key, 0)


def forget_from(key: Key, number: int) -> None:
    """A number is given now: what was known of it was of an attempt that a restore undid."""
    for known in (_CALLED, _DURABLE):
        if known.get(key, 0) >= number:
            known[key] = number - 1


class AskOnCheckpoint(beam.DoFn):
    """Registers confirmations with the runner; a timer's callback cannot, so they come as elements.

    In one stage with the step that emits them, hence in the same bundle and the same process.
    """

    def process(
        self, element: Confirmation, finalizer: Any = beam.DoFn.BundleFinalizerParam
    ) -> Iterator[None]:
        """Register one."""
        finalizer.register(element)
        return iter(())
