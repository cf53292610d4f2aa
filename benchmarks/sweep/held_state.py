"""State and timers of a stateful `DoFn`, held in memory and counted as an engine would be asked.

Beam's worker keeps what a bundle writes until the bundle ends and sends it then: of a value the
last one, of a bag what was added. That is what `commit` counts.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam
from apache_beam.transforms.core import (
    _StateDoFnParam as StateParam,  # the only way to tell which parameter is which
)
from apache_beam.transforms.core import _TimerDoFnParam as TimerParam
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec
from apache_beam.utils.timestamp import Timestamp


class HeldValue:
    """A `ReadModifyWriteState`."""

    def __init__(self, encode: Callable[[Any], bytes]) -> None:
        self._encode = encode
        self._value: Any = None
        self._written = False

    def read(self) -> Any:
        """The value; None where none was written."""
        return self._value

    def write(self, value: Any) -> None:
        """Replace it."""
        self._value, self._written = value, True

    def clear(self) -> None:
        """Forget it."""
        self.write(None)

    def size(self) -> int:
        """Bytes that are kept."""
        return 0 if self._value is None else len(self._encode(self._value))

    def commit(self) -> int:
        """Bytes written since the last time."""
        written, self._written = self._written, False
        return len(self._encode(self._value)) if written and self._value is not None else 0


class HeldBag:
    """A `BagState`."""

    def __init__(self, encode: Callable[[Any], bytes]) -> None:
        self._encode = encode
        self._values: list[Any] = []
        self._sent = 0

    def read(self) -> Iterable[Any]:
        """All that was added."""
        return list(self._values)

    def add(self, value: Any) -> None:
        """Add one."""
        self._values.append(value)

    def clear(self) -> None:
        """Forget all."""
        self._values.clear()
        self._sent = 0

    def size(self) -> int:
        """Bytes that are kept."""
        return sum(len(self._encode(value)) for value in self._values)

    def commit(self) -> int:
        """Bytes added since the last time."""
        added, self._sent = self._values[self._sent :], len(self._values)
        return sum(len(self._encode(value)) for value in added)


class HeldTimer:
    """An event-time timer."""

    def __init__(self) -> None:
        self.at: Timestamp | None = None

    def set(self, at: Timestamp) -> None:
        """Set it, in place of when it was set to."""
        self.at = at

    def clear(self) -> None:
        """Set it to nothing."""
        self.at = None

    def size(self) -> int:
        """None that counts."""
        return 0

    def commit(self) -> int:
        """Nothing that is kept as bytes."""
        return 0


Held = HeldValue | HeldBag | HeldTimer
_KINDS = {ReadModifyWriteStateSpec: HeldValue, BagStateSpec: HeldBag}


class Keyed:
    """One key's state and timers for a stateful `DoFn`, by the names of their specs.

    Args:
        dofn: With a method `process`, and one for each timer.

    Raises:
        TypeError: It has state, or a parameter, of a kind that is not held here.
    """

    def __init__(self, dofn: beam.DoFn) -> None:
        self.dofn = dofn
        self.held: dict[str, Held] = {}
        self.arguments = self._bound(dofn.process)
        self.timers: dict[str, Callable[..., Any]] = {}
        for _, method in inspect.getmembers(type(dofn), inspect.isfunction):
            for param in inspect.signature(method).parameters.values():
                if isinstance(param.default, TimerParam):
                    spec = param.default.timer_spec
                    callback = spec._attached_callback  # noqa: SLF001 - as Beam's worker does
                    if callback is not None:
                        self.timers[spec.name] = callback

    def process(self, element: Any) -> list[Any]:
        """Take an element."""
        return list(self.dofn.process(element, **self.arguments) or ())

    def advance(self, key: Any, watermark: Timestamp) -> list[Any] | None:
        """Fire what is due; None where nothing is."""
        given: list[Any] | None = None
        for name, callback in self.timers.items():
            timer = self.held.get(name)
            if not isinstance(timer, HeldTimer) or timer.at is None or timer.at > watermark:
                continue
            at, timer.at = timer.at, None
            bound = self._bound(callback, skip_first=True, key=key, at=at)
            given = (given or []) + list(callback(self.dofn, **bound) or ())
        return given

    def commit(self) -> int:
        """End the bundle: bytes of state that the engine is sent."""
        return sum(held.commit() for held in self.held.values())

    def size(self) -> int:
        """Bytes that are kept."""
        return sum(held.size() for held in self.held.values())

    def _bound(
        self,
        method: Callable[..., Any],
        *,
        skip_first: bool = False,
        key: Any = None,
        at: Timestamp | None = None,
    ) -> dict[str, Any]:
        bound: dict[str, Any] = {}
        for name, param in list(inspect.signature(method).parameters.items())[skip_first:]:
            default = param.default
            if isinstance(default, StateParam):
                bound[name] = self._state(default.state_spec)
            elif isinstance(default, TimerParam):
                bound[name] = self._timer(default.timer_spec.name)
            elif default is beam.DoFn.KeyParam:
                bound[name] = key
            elif default is beam.DoFn.TimestampParam:
                bound[name] = at
            elif default is not inspect.Parameter.empty:
                raise TypeError(f"parameter {name} of {method.__qualname__} is not held here")
        return bound

    def _state(self, spec: Any) -> Held:
        if type(spec) not in _KINDS:
            raise TypeError(f"state {spec.name} is a {type(spec).__name__}, not held here")
        if spec.name not in self.held:
            self.held[spec.name] = _KINDS[type(spec)](spec.coder.encode)
        return self.held[spec.name]

    def _timer(self, name: str) -> HeldTimer:
        timer = self.held.setdefault(name, HeldTimer())
        if not isinstance(timer, HeldTimer):
            raise TypeError(f"{name} is a state and a timer")
        return timer
