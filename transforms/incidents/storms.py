"""The storms of one site: from its incidents' rows to the same rows, and those of its storms."""

import math
from collections.abc import Iterable
from itertools import takewhile

import msgspec

from eddyline.transforms.incidents.storm import (
    DAY,
    SECOND,
    OpenStorm,
    Row,
    count_devices,
    new_storm,
)
from eddyline.transforms.policy.policy import Storm

BEFORE_TIME = -(2**62)
FEWEST = 3
"""Devices that a share of a site must come to."""
REMEMBERED = 1_000
"""Open incidents outside of storms that a site knows as decided; of others a row waits a little."""


class Waiting(msgspec.Struct, array_like=True):
    """A row that its event time has not come for; `left`: only its part in its storm waits."""

    row: Row
    left: bool


class SiteState(msgspec.Struct):
    """What one site keeps.

    Args:
        cursor: Event time up to which all is decided.
        now: Event time of the last thing that was decided.
        waiting: Rows at or after the cursor, by (event time, incident, revision).
        held: Incident id -> its rows so far; neither in a storm nor outside of one yet. The
            earliest opening first.
        storms: Those that are open or were a day ago, in the order of their opening.
        alone: Open incidents that are in no storm, the last ones; a set.
    """

    cursor: int = BEFORE_TIME
    now: int = BEFORE_TIME
    waiting: list[Waiting] = []
    held: dict[str, list[Row]] = {}
    storms: list[OpenStorm] = []
    alone: dict[str, None] = {}


def devices_needed(rule: Storm, site_devices: int | None) -> int | None:
    """How many devices make a storm of a site; None: none can.

    Args:
        rule: `devices` is a number for every site, 0 for no storms. `share` is of the site's
            devices where their number is known, and at least 3 of them.
        site_devices: Devices of the site, if that is known.

    Example:
        >>> rule = Storm(devices=10, share=0.3, within=30.0)
        >>> [devices_needed(rule, known) for known in (None, 500, 20, 5, 2)]
        [10, 10, 6, 3, None]
    """
    if rule.devices <= 0:
        return None
    if not site_devices:
        return rule.devices
    need = rule.devices
    if rule.share > 0:
        need = min(need, max(FEWEST, math.ceil(rule.share * site_devices)))
    return need if need <= site_devices else None


class SiteStorms:
    """Finds the storms of one site. Plain Python, no Beam.

    An incident that opens at t is held until event time t + `within`. If by then `need` devices
    opened in [t, t + within), they all are members of one storm; else it goes alone, for good.
    While a storm is joinable, what opens at the site joins it at once.

    Guarantee: each row leaves once, if not at once then after `advance`; rows out = rows in + rows
    of storms. A member's rows, also its later ones, leave with `storm_id`. All is decided in the
    order of (event time, incident, revision), so any order and any split of the same rows give the
    same rows, if none comes more than `lag` behind the watermark. One that does is decided at once,
    against what is known then, and never lost.

    Args:
        site: Its name.
        rule: What makes a storm.
        site_devices: Devices of the site, if that is known.
        lag: How far behind the watermark rows come, microseconds.
        state: Where an earlier one stopped; changed in place.
    """

    def __init__(
        self,
        site: str,
        rule: Storm,
        site_devices: int | None = None,
        lag: int = 0,
        state: SiteState | None = None,
    ) -> None:
        self.site, self.site_devices, self.lag = site, site_devices, lag
        self.within = round(rule.within * SECOND)
        self.need = devices_needed(rule, site_devices)
        self.state = SiteState() if state is None else state

    def observe(self, rows: Iterable[Row]) -> list[Row]:
        """Take rows of the site's incidents; give what is decided now."""
        out: list[Row] = []
        for row in rows:
            self._admit(row, out)
        self.state.waiting.sort(key=lambda waiting: _place(waiting.row))
        return self._decide_until_cursor(out)

    def advance(self, watermark: int) -> list[Row]:
        """Give what the watermark decides.

        Args:
            watermark: Microseconds; no row with an event time more than `lag` before it is
                expected any more.
        """
        self.state.cursor = max(self.state.cursor, watermark - self.lag)
        return self._decide_until_cursor([])

    def due(self) -> int | None:
        """The watermark at which `advance` has something to decide; None if nothing waits."""
        due = [waiting.row["event_time"] + 1 for waiting in self.state.waiting[:1]]
        if (decision := self._next_decision()) is not None:
            due.append(decision)
        return min(due) + self.lag if due else None

    def _admit(self, row: Row, out: list[Row]) -> None:
        """A row of a decided incident leaves at once; others wait for their event time."""
        storm = self._storm_of(row)
        if storm is not None:
            out.append({**row, "storm_id": storm.incident_id})
        elif row["incident_id"] in self.state.alone or (self.need is None and self._idle(row)):
            self._leave_alone(row, out)
            return
        self.state.waiting.append(Waiting(row, left=storm is not None))

    def _idle(self, row: Row) -> bool:
        """Whether nothing of this incident waits, as it may where storms were just turned off."""
        return row["incident_id"] not in self.state.held and all(
            waiting.row["incident_id"] != row["incident_id"] for waiting in self.state.waiting
        )

    def _decide_until_cursor(self, out: list[Row]) -> list[Row]:
        state, taken = self.state, 0
        while True:
            decision = self._next_decision()
            row = state.waiting[taken].row if taken < len(state.waiting) else None
            # A decision at t comes before a row at t: that one is outside of [t - within, t).
            if decision is not None and decision <= (
                state.cursor if row is None else min(state.cursor, row["event_time"])
            ):
                self._pass(decision)
                self._decide(out)
            elif row is not None and row["event_time"] < state.cursor:
                self._pass(row["event_time"])
                self._take(state.waiting[taken], out)
                taken += 1
            else:
                break
        del state.waiting[:taken]
        self._let_go(out)
        state.storms = [s for s in state.storms if not _forgotten(s, state.cursor)]
        while len(state.alone) > REMEMBERED:
            del state.alone[next(iter(state.alone))]
        return out

    def _pass(self, event_time: int) -> None:
        # What comes late does not turn the time of the storms' own rows back.
        self.state.now = max(self.state.now, event_time)

    def _next_decision(self) -> int | None:
        for rows in self.state.held.values():
            return rows[0]["event_time"] + self.within
        return None

    def _take(self, waiting: Waiting, out: list[Row]) -> None:
        """A row's event time has come."""
        row = waiting.row
        storm = self._storm_of(row)
        if storm is not None:
            if not waiting.left:
                out.append({**row, "storm_id": storm.incident_id})
            storm.hear(row)
            self._tell(storm, row, out)
        elif waiting.left:  # its storm is long over
            pass
        elif row["incident_id"] in self.state.held:
            self.state.held[row["incident_id"]].append(row)
        elif row["transition"] != "opened" or self.need is None:
            self._leave_alone(row, out)
        elif (joined := self._joinable()) is not None:
            joined.join(row)
            out.append({**row, "storm_id": joined.incident_id})
            self._tell(joined, row, out)
        else:
            self._hold(row)

    def _hold(self, opening: Row) -> None:
        held = self.state.held
        is_late = bool(held) and _place(next(reversed(held.values()))[0]) > _place(opening)
        held[opening["incident_id"]] = [opening]
        if is_late:  # the earliest opening stays the first
            self.state.held = dict(sorted(held.items(), key=lambda item: _place(item[1][0])))

    def _decide(self, out: list[Row]) -> None:
        """The earliest held incident was held for long enough."""
        held = self.state.held
        openings = [rows[0] for rows in held.values()]
        first = openings[0]
        until = first["event_time"] + self.within
        window = list(takewhile(lambda opening: opening["event_time"] < until, openings))
        if (storm := self._joinable()) is not None:  # only where something came late
            window = [first]
            storm.join(first)
        elif self.need is None or count_devices(window) < self.need:
            for row in held.pop(first["incident_id"]):
                self._leave_alone(row, out)
            return
        else:
            storm = new_storm(self.site, self.need, window)
            self.state.storms.append(storm)
        members = [held.pop(opening["incident_id"]) for opening in window]
        for rows in members:
            for row in rows[1:]:
                storm.hear(row)
        if not storm.revision:
            out.append(storm.tell("opened", self.state.now, None, self.site_devices))
        out += [{**row, "storm_id": storm.incident_id} for rows in members for row in rows]
        self._tell(storm, None, out)

    def _tell(self, storm: OpenStorm, row: Row | None, out: list[Row]) -> None:
        """Tell a storm again, if there is something to tell since its last row."""
        now = self.state.now
        if storm.resolved_at is not None:
            return
        if not storm.open:
            transition = "resolved"
        elif storm.changed or now >= storm.remind_at:
            transition = "updated"
        else:
            return
        arrival = row["arrival_time"] if row else None
        out.append(storm.tell(transition, now, arrival, self.site_devices))

    def _let_go(self, out: list[Row]) -> None:
        """Rows that wait of an incident that is decided by now leave."""
        still: list[Waiting] = []
        for waiting in self.state.waiting:
            row = waiting.row
            if not waiting.left and row["incident_id"] in self.state.alone:
                self._leave_alone(row, out)
                continue
            if not waiting.left and (storm := self._storm_of(row)) is not None:
                out.append({**row, "storm_id": storm.incident_id})
                waiting.left = True
            still.append(waiting)
        self.state.waiting = still

    def _leave_alone(self, row: Row, out: list[Row]) -> None:
        out.append(row)
        if row["transition"] == "opened" and self.need is not None:
            self.state.alone[row["incident_id"]] = None
        elif row["transition"] == "resolved":
            self.state.alone.pop(row["incident_id"], None)

    def _storm_of(self, row: Row) -> OpenStorm | None:
        for storm in self.state.storms:
            if row["incident_id"] in storm.members and not _forgotten(storm, row["event_time"]):
                return storm
        return None

    def _joinable(self) -> OpenStorm | None:
        if self.need is None:
            return None
        return next((storm for storm in self.state.storms if storm.joinable), None)


def _place(row: Row) -> tuple[int, str, int]:
    return row["event_time"], row["incident_id"], row["revision"]


def _forgotten(storm: OpenStorm, event_time: int) -> bool:
    """Operators speak of members for another day after a storm."""
    return storm.resolved_at is not None and storm.resolved_at + DAY < event_time
