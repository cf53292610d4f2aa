"""Compatibility: what an engine would say of a new graph in place of a running one, in words."""

import json
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

Kind = Literal["breaks", "map", "adds"]


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step that runs, as far as a running job hangs on it.

    Args:
        input: The coder of what comes in, told for steps that keep or shuffle what comes.
        window: How that is windowed.
        states: State id -> its kind and coder.
        timers: Timer family -> its time domain.
        sides: How many side inputs there are.
        position: The coder of a splittable step's positions.
        shuffles: Whether it groups by key.
    """

    input: str = ""
    window: str = ""
    states: dict[str, str] = {}
    timers: dict[str, str] = {}
    sides: int = 0
    position: str = ""
    shuffles: bool = False

    @property
    def keeps(self) -> str:
        """What is lost with the step, in words; empty where nothing is."""
        parts: list[str] = []
        if self.states:
            parts.append(f"state {', '.join(sorted(self.states))}")
        if self.timers:
            parts.append(f"timers {', '.join(sorted(self.timers))}")
        if self.position:
            parts.append("the source's positions")
        if self.shuffles:
            parts.append("what is being grouped")
        return " and ".join(parts)


class Graph(msgspec.Struct, frozen=True):
    """A job's graph, and what of its settings its state hangs on.

    Args:
        steps: The steps that run, by their full names.
        shards: Number of shards of the fleet; 0 where nothing is said of it.
        model: A device's model that has seen nothing, as its record's hexadecimal bytes: whoever
            can read it can read those in the state.
    """

    steps: dict[str, Step]
    shards: int = 0
    model: str = ""


class Difference(NamedTuple):
    """One difference between two graphs.

    Args:
        kind: breaks: no update, or what was kept is lost. map: an update with
            `--transform_name_mapping` only. adds: fine.
        words: For a person.
    """

    kind: Kind
    words: str


def differences(old: Graph, new: Graph) -> list[Difference]:
    """What an update of a running job from the old graph to the new one would meet, worst first.

    The rules are Dataflow's for `--update`: every old step has to be found again by its name or by
    a mapping; with the coder, the windows and the number of side inputs it had. A state or timer
    that is gone is lost; one that is new begins empty. Flink's for a savepoint are the same but for
    the mapping, which it has not.

    Example:
        >>> old = Graph({"Watch": Step(input="BytesCoder", states={"fleet": "bytes"})})
        >>> new = Graph({"Look": Step(input="BytesCoder", states={"fleet": "bytes"})})
        >>> for one in differences(old, new):
        ...     print(one.kind, "-", one.words)
        map - 'Watch' keeps state fleet and is called 'Look' now: map it, or all that is lost
        >>> differences(old, old)
        []
    """
    found: list[Difference] = []
    gone = {name: step for name, step in old.steps.items() if name not in new.steps}
    added = {name: step for name, step in new.steps.items() if name not in old.steps}
    for name, step in gone.items():
        if renamed := _renamed(step, added):
            del added[renamed]
            lost = f"keeps {step.keeps} and " if step.keeps else ""
            rest = ", or all that is lost" if step.keeps else ""
            found.append(_map(f"{name!r} {lost}is called {renamed!r} now: map it{rest}"))
        elif step.keeps:
            found.append(_breaks(f"{name!r} is gone and with it {step.keeps}"))
        else:
            found.append(_map(f"{name!r} is gone and kept nothing: map it to an empty name"))
    for name in old.steps.keys() & new.steps.keys():
        found += _changed(name, old.steps[name], new.steps[name])
    if old.shards and new.shards and old.shards != new.shards:
        found.append(
            _breaks(
                f"{new.shards} shards in place of {old.shards}: devices would be looked for in "
                "others than theirs; take their states along (docs/state.md)"
            )
        )
    found += [Difference("adds", f"{name!r} is new and begins empty") for name in added]
    order = ("breaks", "map", "adds")
    return sorted(found, key=lambda one: (order.index(one.kind), one.words))


def mapping(found: list[Difference], old: Graph, new: Graph) -> dict[str, str]:
    """The `--transform_name_mapping` that the differences of kind `map` ask for.

    Example:
        >>> old, new = Graph({"A": Step(), "B": Step(sides=1)}), Graph({"C": Step(sides=1)})
        >>> mapping(differences(old, new), old, new)
        {'A': '', 'B': 'C'}
    """
    if not any(one.kind == "map" for one in found):
        return {}
    added = {name: step for name, step in new.steps.items() if name not in old.steps}
    told: dict[str, str] = {}
    for name, step in sorted(old.steps.items()):
        if name in new.steps:
            continue
        renamed = _renamed(step, added)
        if renamed:
            del added[renamed]
            told[name] = renamed
        elif not step.keeps:
            told[name] = ""
    return told


def read_graph(text: str, name: str) -> Graph:
    """A graph that `told_graph` wrote.

    Raises:
        ValueError: It is none; the message begins with its name.
    """
    try:
        return msgspec.json.decode(text, type=Graph)
    except msgspec.DecodeError as error:
        raise ValueError(f"{name}: no graph of a job: {error}") from error


def told_graph(graph: Graph) -> str:
    r"""The graph as JSON, a line for each value, in the order of the names.

    Example:
        >>> read_graph(told_graph(Graph({"Watch": Step(sides=1)})), "here").steps["Watch"].sides
        1
    """
    return json.dumps(msgspec.to_builtins(graph), indent=1, sort_keys=True) + "\n"


def _renamed(step: Step, added: Mapping[str, Step]) -> str | None:
    """The one new step that is the same but for its name."""
    same = [name for name, other in added.items() if other == step]
    return same[0] if len(same) == 1 else None


def _changed(name: str, old: Step, new: Step) -> Iterator[Difference]:
    if old.shuffles != new.shuffles:
        yield _breaks(f"{name!r} groups by key in one of them only")
    # A step that keeps nothing has no coder of its own: what it passes on lives a moment.
    if old.input and new.input and old.input != new.input:
        yield _breaks(f"{name!r} takes {new.input} in place of {old.input}")
    if old.keeps and old.window != new.window:
        yield _breaks(f"{name!r} is windowed by {new.window} in place of {old.window}")
    if old.sides != new.sides:
        yield _breaks(f"{name!r} has {new.sides} side inputs in place of {old.sides}")
    if old.position and old.position != new.position:
        yield _breaks(f"{name!r} has positions {new.position or '(none)'}, not {old.position}")
    for what, before, after in (
        ("state", old.states, new.states),
        ("timer", old.timers, new.timers),
    ):
        for key, kind in before.items():
            if key not in after:
                yield _breaks(f"{name!r} has no {what} {key!r} any more: what it held is lost")
            elif after[key] != kind:
                yield _breaks(f"{name!r} keeps its {what} {key!r} as {after[key]}, not as {kind}")
        for key in after.keys() - before.keys():
            yield Difference("adds", f"{name!r} has a new {what} {key!r}, which begins empty")


def _breaks(words: str) -> Difference:
    return Difference("breaks", words)


def _map(words: str) -> Difference:
    return Difference("map", words)
