"""Readings as the devices write them: compact JSON, RFC 3339 or epoch milliseconds."""

import numpy as np
from numpy.typing import NDArray

from eddyline.io.simulate.fleet import Fleet
from eddyline.io.simulate.quantities import QUANTITIES
from eddyline.io.simulate.readings import Readings

Fields = dict[str, str]
"""A JSON object in the making: each member's name and its value as raw JSON text, in order."""


def rendered(fields: Fields) -> bytes:
    """The object as one line of JSON, whatever its members' texts are.

    Example:
        >>> rendered({"device_id": '"mill-001"', "temperature": "NaN"})
        b'{"device_id":"mill-001","temperature":NaN}'
    """
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode()


def members(fleet: Fleet, readings: Readings, row: int, *, epoch: bool | None = None) -> Fields:
    """One reading's members, in the form of its device's model.

    A missing value is null in every other reading that has one, and left out in the rest.

    Args:
        fleet: The devices.
        readings: All readings.
        row: Which one.
        epoch: The form of the timestamp; None for the one of the device's model.
    """
    device = int(readings.device[row])
    model = fleet.model[device]
    milliseconds = int(readings.event_time[row]) // 1000
    as_epoch = model.epoch if epoch is None else epoch
    fields = {
        "device_id": f'"{fleet.device_id[device]}"',
        "timestamp": str(milliseconds) if as_epoch else f'"{_rfc3339(milliseconds)}"',
    }
    for quantity, value in zip(QUANTITIES, readings.values[row].tolist(), strict=True):
        if value == value:
            fields[quantity.name] = repr(value)
        elif row % 2:
            fields[quantity.name] = "null"
    if model.message_id:
        fields["message_id"] = f'"{_message_id(fleet.device_id[device], int(readings.turn[row]))}"'
    return fields


def encoded(fleet: Fleet, readings: Readings) -> list[bytes]:
    """Every reading as its device writes it: the same as `rendered(members(...))`, in bulk."""
    milliseconds = readings.event_time // 1000
    text = np.datetime_as_string(milliseconds.astype("datetime64[ms]"), unit="ms")
    epoch: NDArray[np.bool_] = np.array([model.epoch for model in fleet.model])
    with_id = [model.message_id for model in fleet.model]
    stamps = [f'"{stamp}Z"' for stamp in text.tolist()]
    for row in np.flatnonzero(epoch[readings.device]).tolist():
        stamps[row] = str(milliseconds[row])
    a, b, c = (f'"{quantity.name}":' for quantity in QUANTITIES)
    payloads = [
        (
            f'{{"device_id":"{fleet.device_id[device]}","timestamp":{stamp},{a}{x!r},{b}{y!r},{c}{z!r}'
            + (
                f',"message_id":"{_message_id(fleet.device_id[device], turn)}"}}'
                if with_id[device]
                else "}"
            )
        ).encode()
        for device, turn, stamp, x, y, z in zip(
            readings.device.tolist(),
            readings.turn.tolist(),
            stamps,
            *readings.values.T.tolist(),
            strict=True,
        )
    ]
    for row in np.flatnonzero(np.isnan(readings.values).any(axis=1)).tolist():
        payloads[row] = rendered(members(fleet, readings, row))
    return payloads


def _rfc3339(milliseconds: int) -> str:
    return f"{np.datetime64(milliseconds, 'ms')}Z"


def _message_id(device_id: str, turn: int) -> str:
    return f"{device_id}/{turn}"
