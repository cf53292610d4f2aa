"""The casebook: every trouble of one shard's devices, from scored readings to rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eddyline.detectors.protocol import Detector, Scores, Verdict
from eddyline.schemas.channel import Channel
from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.incidents.apply_feedback import (
    apply_command,
    decay,
    next_decay,
    raised_by,
    stands,
)
from eddyline.transforms.incidents.cadence import (
    NOT_DUE,
    Gaps,
    grown,
    held_up,
    learn_gaps,
    new_cadence,
    silent_from,
    usual_gap,
)
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.known import Known, Place
from eddyline.transforms.incidents.life_cycle import (
    FOREVER,
    SECOND,
    Device,
    Transition,
    seconds,
    take_reading,
    wake,
)
from eddyline.transforms.incidents.limits import beyond_limits
from eddyline.transforms.incidents.silence import (
    end_unexpected,
    fall_silent,
    go_missing,
    missing_from,
    next_reminder,
    speak_again,
)
from eddyline.transforms.incidents.surge import surge
from eddyline.transforms.incidents.trouble import Alarm, Troubles, cause_of

_JUDGED = (int(Verdict.NORMAL), int(Verdict.ANOMALY))


class _Scored(NamedTuple):
    """Readings with all that is known of them, one entry a reading."""

    readings: pa.RecordBatch
    time: NDArray[np.int64]
    arrival: NDArray[np.int64]
    values: NDArray[np.float64]
    scores: Scores
    gaps: Gaps
    recent: NDArray[np.float64]


class Casebook:
    """The troubles of one shard's devices; see `take_reading`, `fall_silent`, `apply_command`.

    Guarantee: the rows are a function of each device's readings in order, of the time that has
    passed without one, and of the commands, whatever the batches, shards and engines. Only readings
    under alarm or beyond a limit, the ends of silences, and devices whose open trouble has come to
    its time take plain Python; of all others it costs a mask.

    Args:
        detector: For its kinds and thresholds.
        channels: The declared channels.
        incident_schema: Of the rows.
    """

    def __init__(
        self, detector: Detector, channels: tuple[Channel, ...], incident_schema: pa.Schema
    ) -> None:
        self.channels, self.incident_schema = channels, incident_schema
        self.kinds = detector.kinds
        self.own = np.array(detector.thresholds, np.float64)
        self.lasting = self.kinds.index("condition") if "condition" in self.kinds else None
        self.known = Known()
        self.ids: list[str] = []
        self.row: dict[str, int] = {}
        self.troubles: dict[str, Troubles] = {}
        self.commands: dict[str, list[Command]] = {}
        self.touched: set[str] = (
            set()
        )  # whose troubles or commands have changed, see `Fleet.settle`
        self.stream = self.began = NEVER
        self.cadence = new_cadence(0)
        self.recent = np.empty(0)
        self.devices: list[Device] = []
        # What follows from the above, by row, so that masks can be made of it.
        self.thresholds = np.empty((0, len(self.kinds)))
        self.factor, self.minimum = np.empty(0), np.empty(0)
        self.wake = np.empty(0, np.int64)
        self.change = np.empty(0, np.int64)
        self.remind = np.empty(0, np.int64)
        self.missing: dict[str, int] = {}
        self.missing_due = FOREVER
        self.ignored = 0
        self._out: list[Transition] = []
        self._none = pa.RecordBatch.from_pylist([], schema=incident_schema)

    # What is known, and how far the stream is.

    def know(self, known: Known) -> None:
        """Take another version of the registry or the policy; it holds from now on."""
        if known is self.known:
            return
        self.known = known
        self.devices = [self._device(device) for device in self.ids]
        for row in range(len(self.ids)):
            self._settle(row)
        for name in set(self.troubles) - set(self.row) - set(known.expected):
            self.touched.add(name)
            troubles, device = self.troubles.pop(name), self._device(name)
            self._tell(end_unexpected(troubles, device, self.stream))
        self._expect()

    def add(self, ids: Iterable[str]) -> None:
        """Take devices that were seen for the first time; they get the next rows."""
        before = len(self.ids)
        self.ids.extend(ids)
        self.row |= {device: row for row, device in enumerate(self.ids[before:], before)}
        self.devices += [self._device(device) for device in self.ids[before:]]
        more = len(self.ids) - before
        self.cadence = grown(self.cadence, len(self.ids))
        self.recent = np.append(self.recent, np.zeros(more))
        self.thresholds = np.concatenate([self.thresholds, np.tile(self.own, (more, 1))])
        self.factor = np.append(self.factor, np.zeros(more))
        self.minimum = np.append(self.minimum, np.zeros(more))
        self.wake = np.append(self.wake, np.full(more, FOREVER))
        self.change = np.append(self.change, np.full(more, FOREVER))
        self.remind = np.append(self.remind, np.full(more, NEVER))
        for row in range(before, len(self.ids)):
            self._settle(row)

    def tell(self, stream: int) -> None:
        """The whole stream has come to this event time."""
        if self.began == NEVER:
            self.began = stream
            self._expect()
        self.stream = max(self.stream, stream)

    def restore(
        self,
        troubles: dict[str, Troubles],
        commands: dict[str, list[Command]],
        stream: int,
        began: int,
    ) -> None:
        """Go on from what an earlier casebook held; its devices are added before."""
        self.troubles, self.commands = troubles, commands
        self.stream, self.began = stream, began
        for row in range(len(self.ids)):
            self._settle(row)
        self._expect()

    # Readings.

    def runs(
        self, device: NDArray[np.int32], time: NDArray[np.int64], rebaseline: Callable[[int], None]
    ) -> Iterator[NDArray[np.int64] | None]:
        """Readings in parts, between which a device's thresholds or references change.

        A command, a day more of a raise, a new normal: each takes effect between the last reading
        of its device up to its time and the first one after it, wherever the batches are cut.

        Yields:
            Positions; None for all, which is almost always the only part.
        """
        if not (time > self.change[device]).any():
            yield None
            return
        left = np.arange(len(device))
        while len(left):
            after = time[left] > self.change[device[left]]
            if not after.all():
                yield left[~after]
            left = left[after]
            for row in np.unique(device[left]).tolist():
                self._change(row, rebaseline)

    def take(
        self,
        readings: pa.RecordBatch,
        device: NDArray[np.int32],
        time: NDArray[np.int64],
        values: NDArray[np.float64],
        scores: Scores,
    ) -> None:
        """Take scored readings, in order for each device."""
        if not len(device):
            return
        gaps = learn_gaps(self.cadence, device, time, self.factor, self.minimum)
        recent = self._surge(device, scores)
        beyond = readings.column("beyond_limits")
        marked = (scores.alarms != 0) | (gaps.due < NOT_DUE) | (time >= self.wake[device])
        if beyond.null_count < len(beyond):
            marked |= beyond.is_valid().to_numpy(zero_copy_only=False)
        if not marked.any():
            return
        attended = np.zeros(len(self.ids), np.bool_)
        attended[device[marked]] = True
        at = np.flatnonzero(attended[device])
        at = at[np.argsort(device[at], kind="stable")]
        bounds = np.flatnonzero(np.diff(device[at], prepend=-1, append=-1))
        arrival = readings.column("arrival_time").cast(pa.int64()).to_numpy()
        scored = _Scored(readings, time, arrival, values, scores, gaps, recent)
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            rows = at[start:end]
            row = int(device[rows[0]])
            troubles = self._troubles(self.ids[row])
            times, marks = time[rows], np.append(np.flatnonzero(marked[rows]), len(rows))
            place = next_mark = 0
            while True:
                # A reading without a mark matters from the time on that the trouble waits for.
                place = max(place, int(np.searchsorted(times, self.wake[row])))
                place = min(place, int(marks[next_mark]))
                if place == len(rows):
                    break
                self._take_one(row, troubles, scored, int(rows[place]))
                self.wake[row] = wake(troubles, self.devices[row])
                place += 1
                next_mark += int(marks[next_mark] < place)
            self._settle(row)

    def _take_one(self, row: int, troubles: Troubles, scored: "_Scored", at: int) -> None:
        device, time, arrival = self.devices[row], int(scored.time[at]), int(scored.arrival[at])
        gaps = scored.gaps
        if (due := int(gaps.due[at])) < NOT_DUE:
            last, usual = int(gaps.last[at]), float(gaps.usual[at])
            self._tell(fall_silent(troubles, device, last, due, usual, time))
        out: list[Transition] = []
        silence = troubles.silence
        if silence is not None:
            if silence.silent and time < max(silence.last_seen, silence.opened_at):
                held_up(self.cadence, row, self.stream - silence.last_seen)
            out += speak_again(troubles, device, time, arrival)
        beyond = None
        if names := scored.readings.column("beyond_limits")[at].as_py():
            limits = self.known.limits(device.device_id)
            beyond = beyond_limits(names, scored.values[at], self.channels, limits)
        out += take_reading(
            troubles,
            device,
            time,
            arrival,
            alarm=self._alarm(row, device, scored.scores, scored.recent, at),
            beyond=beyond,
            judged=scored.scores.verdict[at] in _JUDGED,
        )
        if out:
            place = self.known.place(device.device_id)
            if place is None:
                place = Place(*(scored.readings.column(name)[at].as_py() for name in Place._fields))
            self._tell(out, place)

    def _alarm(
        self, row: int, device: Device, scores: Scores, recent: NDArray[np.float64], one: int
    ) -> Alarm | None:
        bits = int(scores.alarms[one])
        kinds = tuple(
            (kind, float(scores.extras.get(kind, scores.score)[one]), self._threshold(row, number))
            for number, kind in enumerate(self.kinds)
            if bits >> number & 1 and kind not in device.rule.off
        )
        if not kinds:
            return None
        lasts = any(kind == "condition" for kind, _, _ in kinds)
        return Alarm(
            kinds,
            float(scores.score[one]),
            cause_of(scores.explanations[one]),
            float(recent[one]) if lasts else 0.0,
        )

    def _surge(self, device: NDArray[np.int32], scores: Scores) -> NDArray[np.float64]:
        """How strange each reading's device was lately, where the detector tells conditions."""
        strength = np.zeros(len(device))
        if self.lasting is not None:
            score = scores.extras.get("condition", scores.score)
            surge(device, score, self.thresholds[:, self.lasting], self.recent, strength)
        return strength

    # Time that passes without a reading.

    def let_pass(self, until: int, last_seen: NDArray[np.int64]) -> None:
        """The watermark has come to `until`, and the stream to where `tell` said.

        Args:
            until: Microseconds.
            last_seen: Of each device the latest event time that was seen, in order or waiting.
        """
        until = min(until, self.stream)
        due, when = self._silent_from(), self._next_silence(last_seen)
        for row in np.flatnonzero(when <= until).tolist():
            self._fall_silent(row, int(due[row]), until)
        if self.missing_due > until:
            return
        for name, due_at in list(self.missing.items()):
            if name in self.row:
                del self.missing[name]
            elif due_at <= until:
                self._go_missing(name, until)
        self.missing_due = min(self.missing.values(), default=FOREVER)

    def _fall_silent(self, row: int, due: int, until: int) -> None:
        troubles, device = self._troubles(self.ids[row]), self.devices[row]
        last, usual = int(self.cadence.last[row]), usual_gap(self.cadence, row)
        self._tell(fall_silent(troubles, device, last, due, usual, until))
        self._settle(row)

    def _go_missing(self, name: str, until: int) -> None:
        device, troubles = self._device(name), self._troubles(name)
        due = missing_from(self.began, device.rule.silence.grace)
        self._tell(go_missing(troubles, device, self.began, due, until))
        self.missing[name] = next_reminder(troubles, device)
        if troubles.forgotten:
            del self.troubles[name]

    def due(self, last_seen: NDArray[np.int64], disorder: int) -> int:
        """The watermark at which `let_pass` or `obey` has something to do; FOREVER for none.

        What is due after the time the stream has come to is left out: the end of a stream, where
        the watermark jumps to the end of time, makes nobody silent.
        """
        when = self._next_silence(last_seen)
        told = when <= self.stream
        first = FOREVER
        if told.any():
            # After the device's last reading was given to the model.
            first = int(np.maximum(when[told], last_seen[told] + disorder + 1).min())
        if self.missing_due <= self.stream:
            first = min(first, self.missing_due)
        for commands in self.commands.values():
            first = min(first, commands[0].time + disorder + 1)
        return first

    def _next_silence(self, last_seen: NDArray[np.int64]) -> NDArray[np.int64]:
        """When the passing of time next says something of each device that nothing waits of."""
        when = np.where(self.remind == NEVER, self._silent_from(), self.remind)
        return np.where(self.cadence.last == last_seen, when, NOT_DUE)

    def _silent_from(self) -> NDArray[np.int64]:
        return silent_from(self.cadence, self.factor, self.minimum)

    # Commands.

    def control(self, commands: Iterable[Command]) -> None:
        """Take commands; they wait for their time."""
        for command in commands:
            self.touched.add(command.device_id)
            waiting = self.commands.setdefault(command.device_id, [])
            if command not in waiting:
                waiting.append(command)
                waiting.sort(key=_order)
            if (row := self.row.get(command.device_id)) is not None:
                self.change[row] = self._next_change(row)

    def obey(self, before: Callable[[int | None], int], rebaseline: Callable[[int], None]) -> None:
        """Apply the commands whose time no reading in order can come before any more.

        Args:
            before: Of a device's row, or of None, the time before which all is in order.
            rebaseline: Lets the model of a row take the present for normal.
        """
        for name in list(self.commands):
            row = self.row.get(name)
            until = before(row)
            while (waiting := self.commands.get(name)) and waiting[0].time < until:
                if row is None:
                    device, now = self._device(name), min(waiting[0].time, self.stream)
                    if self.missing.get(name, FOREVER) <= now:
                        self._go_missing(name, now)
                    self._command(name, device, {})
                    if name in self.missing and (troubles := self.troubles.get(name)):
                        self.missing[name] = next_reminder(troubles, device)
                else:
                    self._change(row, rebaseline)

    def _change(self, row: int, rebaseline: Callable[[int], None]) -> None:
        """Apply a device's next change."""
        name, device = self.ids[row], self.devices[row]
        troubles = self._troubles(name)
        waiting = self.commands.get(name)
        when = self._next_change(row)
        if waiting and waiting[0].time <= when:
            # What the operator speaks of can be a silence that no reading has shown yet.
            due, now = int(self._silent_from()[row]), min(when, self.stream)
            if (due if self.remind[row] == NEVER else int(self.remind[row])) <= now:
                self._fall_silent(row, due, now)
            own = {kind: self._threshold(row, n) for n, kind in enumerate(self.kinds)}
            self._command(name, device, own)
        elif troubles.rebaseline_at and troubles.rebaseline_at <= when:
            if stands(troubles, seconds(device.rule.quiet)):
                rebaseline(row)
            troubles.rebaseline_at = 0
        else:
            decay(troubles, when)
        self._settle(row)

    def _command(self, name: str, device: Device, thresholds: Mapping[str, float]) -> None:
        self.touched.add(name)
        waiting = self.commands[name]
        command = waiting.pop(0)
        if not waiting:
            del self.commands[name]
        if name not in self.troubles and name not in self.row:
            self.ignored += 1
            return
        troubles = self._troubles(name)
        out = apply_command(troubles, device, command, thresholds)
        self.ignored += not out
        self._tell(out)

    # What follows.

    def _settle(self, row: int) -> None:
        """Bring everything of a device into line with its troubles, rule and commands."""
        name, rule = self.ids[row], self.devices[row].rule
        troubles = self.troubles.get(name)
        if troubles is not None and troubles.forgotten:
            del self.troubles[name]
            troubles = None
        thresholds = self.own.copy()
        for number, kind in enumerate(self.kinds):
            thresholds[number] = rule.thresholds.get(kind, thresholds[number])
            if troubles is not None:
                thresholds[number] += raised_by(troubles, kind)
        self.thresholds[row] = thresholds
        patience = 1.0 + (raised_by(troubles, "silent") if troubles is not None else 0.0)
        off = "silent" in rule.off
        self.factor[row] = rule.silence.factor * patience
        self.minimum[row] = np.inf if off else rule.silence.minimum * SECOND * patience
        self.wake[row] = FOREVER
        self.remind[row] = NEVER
        if troubles is not None:
            self.wake[row] = wake(troubles, self.devices[row])
            if troubles.silence is not None and troubles.silence.silent:
                self.remind[row] = next_reminder(troubles, self.devices[row])
        self.change[row] = self._next_change(row)

    def _next_change(self, row: int) -> int:
        name = self.ids[row]
        waiting, troubles = self.commands.get(name), self.troubles.get(name)
        when = waiting[0].time if waiting else FOREVER
        if troubles is not None:
            when = min(when, next_decay(troubles), troubles.rebaseline_at or FOREVER)
        return when

    def _expect(self) -> None:
        """Look again at who is expected and was never seen."""
        unseen = [name for name in self.known.expected if name not in self.row]
        self.missing = {}
        if self.began == NEVER:
            return
        for name in unseen:
            device, troubles = self._device(name), self.troubles.get(name)
            self.missing[name] = (
                missing_from(self.began, device.rule.silence.grace)
                if troubles is None or troubles.silence is None
                else next_reminder(troubles, device)
            )
        self.missing_due = min(self.missing.values(), default=FOREVER)

    def _device(self, name: str) -> Device:
        return Device(name, self.known.rule(name), self.known.importance(name))

    def _troubles(self, name: str) -> Troubles:
        """A device's troubles, to change them."""
        self.touched.add(name)
        return self.troubles.setdefault(name, Troubles())

    def _threshold(self, row: int, kind: int) -> float:
        return float(self.thresholds[row, kind])

    # Rows.

    def _tell(self, transitions: list[Transition], place: Place | None = None) -> None:
        for one in transitions:
            where = place or self.known.place(one["device_id"]) or Place()
            self._out.append(one | where._asdict())

    def told(self) -> tuple[pa.RecordBatch, int]:
        """The rows since the last call, and how many commands told none."""
        out, self._out = self._out, []
        ignored, self.ignored = self.ignored, 0
        return pa.RecordBatch.from_pylist(
            out, schema=self.incident_schema
        ) if out else self._none, ignored


def _order(command: Command) -> tuple[Any, ...]:
    return command.time, command.incident_id, command.action, command.by or "", command.kind or ""
