"""The loop over readings: signs, scores, alarms, learning, each reading after the one before."""

import math
from typing import Any

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from eddyline.detectors.density import told as t
from eddyline.detectors.density.alarm import alarm_state, persistence, state_signs
from eddyline.detectors.density.channel_step import (
    miss_channel,
    read_channel,
    swap_point,
    usual_point,
)
from eddyline.detectors.density.condition import condition, gate, novelty
from eddyline.detectors.density.event import event_alarm
from eddyline.detectors.density.heads import heads_scale
from eddyline.detectors.density.leaves import find
from eddyline.detectors.density.mass import learn, make_room, surprise
from eddyline.detectors.density.own_scale import crowd
from eddyline.detectors.density.pace import HOUR, SECOND_DAY, learn_cadence, pace_of
from eddyline.detectors.density.season import NO_TIME, hour_of_day
from eddyline.detectors.density.share import weigh
from eddyline.detectors.density.signs import EVENT
from eddyline.detectors.density.state import CHANNEL, DEVICE, FORESTS
from eddyline.detectors.kernel import buffer, field, given, kernel
from eddyline.detectors.protocol import Verdict

NEVER = np.int64(2**62)
"""Microseconds: longer than any trouble."""
ROOM_EVERY = 32
"""Readings between two looks at the size of the record."""
SHIFT_HOURS = 4
"""Hours."""
NORMAL = int(Verdict.NORMAL)
ANOMALY = int(Verdict.ANOMALY)
NOT_READY = int(Verdict.WARM_UP)
UNSCORED = int(Verdict.UNSCORED)


@kernel(
    types.void(
        given(types.int32, 1),
        given(types.int64, 1),
        given(types.float64, 2),
        field(from_dtype(DEVICE), 1),
        field(from_dtype(CHANNEL), 2),
        field(types.uint16, 4),
        given(types.uint16, 2),
        given(types.float64, 1),
        given(types.uint64, 2),
        given(types.float64, 1),
        types.Array(types.float64, 2, "A", readonly=True),
        buffer(types.uint8, 1),
        buffer(types.float64, 1),
        buffer(types.float64, 1),
        buffer(types.float64, 1),
        buffer(types.uint8, 1),
        buffer(types.uint8, 1),
        buffer(types.float64, 3),
    )
)
def observe(
    device: NDArray[np.int32],
    event_time: NDArray[np.int64],
    values: NDArray[np.float64],
    devices: NDArray[Any],
    channels: NDArray[Any],
    masses: NDArray[np.uint16],
    start: NDArray[np.uint16],
    threshold: NDArray[np.float64],
    possible: NDArray[np.uint64],
    limits: NDArray[np.float64],
    alarms: NDArray[np.float64],
    verdict: NDArray[np.uint8],
    events: NDArray[np.float64],
    conditions: NDArray[np.float64],
    novelties: NDArray[np.float64],
    signs: NDArray[np.uint8],
    named: NDArray[np.uint8],
    told: NDArray[np.float64],
) -> None:
    """Score, then learn, row by row; changes the fleet's three arrays and fills the last seven.

    Args:
        device: Row of the fleet, `[n]`.
        event_time: Microseconds since the epoch, `NO_TIME` where there is none, `[n]`.
        values: NaN where missing, `[n, channels]`.
        devices: `state.DEVICE`, `[fleet]`.
        channels: `state.CHANNEL`, `[fleet, channels]`.
        masses: Leaf masses, `[fleet, 3, trees, leaves]`.
        start: The forest's, as `leaves.Leaves`.
        threshold: The forest's.
        possible: The forest's.
        limits: Condition and persistence thresholds of the detector, warm-up, bytes for the masses.
        alarms: Event and condition thresholds of each device, `[fleet, 2]`.
        verdict: Values of `Verdict`, `[n]`.
        events: Event score in bits, NaN where unscored, `[n]`.
        conditions: Condition score in bits, NaN where unscored, `[n]`.
        novelties: Novelty in bits, NaN where unscored, `[n]`.
        signs: Bits of `signs.Alarm`, `[n]`.
        named: Channel that the state of alarm began with, `[n]`.
        told: `told` columns of the anomalies' channels, `[n, channels, told.COLUMNS]`.
    """
    warm_up = limits[2]
    count = values.shape[1]
    trees = masses.shape[2]
    points = np.empty((FORESTS, 2 * count))
    leaves = np.empty((FORESTS, trees), np.uint8)
    spare = np.empty(trees, np.uint8)
    bits = np.empty(FORESTS)
    about = np.zeros((count, t.COLUMNS))
    mask = np.empty(trees, np.uint64)
    kept = np.empty(2)
    scale = heads_scale(count)
    share = crowd(count)
    for row in range(len(device)):
        events[row] = math.nan
        conditions[row] = math.nan
        novelties[row] = math.nan
        signs[row] = 0
        named[row] = 0
        verdict[row] = UNSCORED
        present = 0
        for c in range(count):
            if math.isfinite(values[row, c]):
                present += 1
        if present == 0:
            continue
        who = device[row]
        state = devices[who]
        time = event_time[row]
        timed = time != NO_TIME
        hour = hour_of_day(time) if timed else 0.0
        shift = int(hour) // SHIFT_HOURS if timed else -1
        seen = np.float64(state["seen"])
        cadence = np.float64(state["cadence"])
        if timed and seen > 0.0 and state["last_time"] != NO_TIME:
            cadence = learn_cadence(cadence, np.float64(time - state["last_time"]), seen)
            state["cadence"] = cadence
        if timed and seen == 0.0:
            state["born"] = time / HOUR
        days = timed and time / HOUR - np.float64(state["born"]) > SECOND_DAY
        pace = pace_of(cadence, seen, days)
        # Of a sensor that reports every second a trouble of twenty readings is no long one.
        lasting = limits[1] * max(1.0, pace.readings / 30.0)
        top_sudden = 0.0
        top_far = 0.0
        top_stuck = 0.0
        top_still = 0.0
        top_noise = 0.0
        top_away = 0.0
        suspicious = False
        young = False
        for c in range(count):
            channel = channels[who, c]
            if not math.isfinite(values[row, c]):
                miss_channel(channel, c, points, about[c])
                continue
            warming = channel["seen"] < warm_up <= seen
            sudden, far, st, still, noise, away, doubtful = read_channel(
                channel, values[row, c], hour, shift, pace, share, c, points, about[c]
            )
            if warming:
                young = True
                continue
            top_sudden = max(top_sudden, sudden)
            top_far = max(top_far, far)
            top_stuck = max(top_stuck, st)
            top_still = max(top_still, still)
            top_noise = max(top_noise, noise)
            top_away = max(top_away, away)
            suspicious = suspicious or doubtful

        for forest in range(FORESTS):
            find(points[forest], start, threshold, possible, mask, leaves[forest])
            bits[forest] = surprise(
                masses[who, forest], np.float64(state["learned"][forest]), leaves[forest]
            )
        event = max(bits[0], bits[1])
        score = condition(top_sudden, top_far, top_stuck, bits[2])
        novelties[row] = novelty(score, bits[1])
        noise = top_noise / scale
        away = top_away / scale
        if seen == 0.0:
            # A fresh row is all zero; no record yet, and none counted.
            state["peak"] = -math.inf
            state["since"] = 60000
        elapsed = NEVER
        if timed and state["peak_time"] != NO_TIME:
            elapsed = np.int64(time - state["peak_time"])
        new, peak, age, since, habit = event_alarm(
            event,
            np.float64(state["peak"]),
            np.float64(state["age"]),
            np.float64(state["since"]),
            np.float64(state["habit"]),
            elapsed,
            alarms[who, 0],
        )
        if age == 0.0:
            state["peak_time"] = time
        total, usually = persistence(
            score,
            np.float64(state["usual"]),
            shift,
            state["shifts"],
            state["shift_counts"],
            np.float64(state["persistent"]),
            seen,
            lasting,
            pace.memory,
        )
        new = new and not young and np.float64(state["learned"][0]) >= warm_up
        if new:
            odd = 0 if bits[0] >= bits[1] else 1
            for c in range(count):
                usual = usual_point(channels[who, c], odd)
                swap_point(points[odd], c, usual, kept)
                find(points[odd], start, threshold, possible, mask, spare)
                swap_point(points[odd], c, (kept[0], kept[1]), kept)
                without = surprise(masses[who, odd], np.float64(state["learned"][odd]), spare)
                about[c, t.JOINT] = max(event - without, 0.0)
        learned = state["learned"]
        learned[0] = learn(masses[who, 0], np.float64(learned[0]), leaves[0])
        learned[1] = learn(masses[who, 1], np.float64(learned[1]), leaves[1])
        teaches, held = gate(
            suspicious, np.float64(state["held"]), np.float64(learned[2]), pace.memory
        )
        if teaches:
            learned[2] = learn(masses[who, 2], np.float64(learned[2]), leaves[2])
        if state["seen"] % ROOM_EVERY == 0:
            make_room(masses[who], learned, limits[3])
        ready = seen >= warm_up
        on = False
        calm = 0.0
        enter = alarms[who, 1]
        # Another threshold makes the other signs of a condition stricter by as much.
        strict = enter / limits[0]
        if ready:
            on, calm = alarm_state(
                state["on"] != 0,
                np.float64(state["calm"]),
                score,
                total,
                max(noise, away, top_still),
                enter,
                lasting,
                strict,
            )
        sign = 0
        if on:
            sign = state_signs(score, total, noise, away, top_still, enter, lasting, strict)
            if sign == 0:
                sign = int(state["sign"])
            else:
                state["named"] = weigh(about, sign)
        state["sign"] = sign
        state["peak"] = peak
        state["age"] = min(age, 60000.0)
        state["since"] = min(since, 60000.0)
        state["habit"] = habit
        state["persistent"] = total
        state["usual"] = usually
        state["held"] = held
        state["on"] = 1 if on else 0
        state["calm"] = calm
        state["seen"] = min(seen + 1.0, 4e9)
        state["last_time"] = time
        events[row] = event
        conditions[row] = score
        if not ready:
            verdict[row] = NOT_READY
            continue
        if new:
            sign |= EVENT
        signs[row] = sign
        named[row] = state["named"]
        if sign == 0:
            verdict[row] = NORMAL
            continue
        verdict[row] = ANOMALY
        weigh(about, sign)
        told[row] = about
